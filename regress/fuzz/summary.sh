#!/bin/sh
# summary.sh NAME CODE <the end of a log: one line of what a run saw.
awk -v name="$1" -v code="$2" '
/^#[0-9]+.*DONE/ { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
/^Done/ { seconds = $(NF - 1) }
/number_of_executed_units/ { execs = $2 }
/peak_rss_mb/ { rss = $2 }
END { printf "%s: %s executions in %s s, coverage %s, %s MB%s\n", name,
	execs, seconds, cov, rss, code == 0 ? "" : ", FAILED" }'
