#!/bin/sh
# run.sh SECONDS NAME ...: fuzz each target that long, two at a time, beginning
# with its corpus. What is new stays in build/fuzz/work/NAME, what is wrong in
# build/fuzz/found. "merge" instead of SECONDS makes the corpus minimal again.
set -u
seconds=$1
shift
top=build/fuzz
corpus=regress/fuzz/corpus

flags() {
	echo -max_len=4096
	[ "$1" != site ] || echo -dict=regress/fuzz/site.dict
}

fuzz() {
	mkdir -p $top/work/$1 $top/found $corpus/$1
	# shellcheck disable=SC2046
	nice -n 10 $top/fuzz_$1 -max_total_time=$seconds -timeout=10 \
	    -rss_limit_mb=2048 -print_final_stats=1 \
	    -artifact_prefix=$top/found/$1- $(flags $1) \
	    $top/work/$1 $corpus/$1 >$top/$1.log 2>&1
	code=$?
	tail -n 20 $top/$1.log | sh regress/fuzz/summary.sh $1 $code
	[ $code -eq 0 ] || sed -n '/ERROR\|not so/,$p' $top/$1.log | head -40
	return $code
}

merge() {
	mkdir -p $top/work/$1 $top/seeds/$1 $top/merged $corpus/$1
	rm -rf $top/merged/$1
	mkdir $top/merged/$1
	# shellcheck disable=SC2046
	$top/fuzz_$1 -set_cover_merge=1 -use_counters=0 $(flags $1) $top/merged/$1 \
	    $top/seeds/$1 $corpus/$1 $top/work/$1 >$top/$1.merge.log 2>&1 ||
	    return 1
	# ninety are enough, the longest go; what was once wrong stays
	(cd $top/merged/$1 && ls -S | head -n -90 | xargs -r rm --)
	find $corpus/$1 -name 'found-*' -exec cp {} $top/merged/$1 \;
	rm -rf ${corpus:?}/$1
	cp -r $top/merged/$1 $corpus/$1
	echo "$1: $(ls $corpus/$1 | wc -l) files, $(du -sb $corpus/$1 |
	    cut -f1) bytes"
}

job=fuzz
[ "$seconds" != merge ] || job=merge
failed=0
while [ $# -gt 0 ]; do
	$job $1 &
	first=$!
	second=
	if [ $# -gt 1 ]; then
		$job $2 &
		second=$!
		shift
	fi
	shift
	wait $first || failed=1
	[ -z "$second" ] || wait $second || failed=1
done
exit $failed
