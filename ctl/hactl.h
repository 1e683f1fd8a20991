/*
 * hactl: words become a request, the rows that answer it are kept whole, and
 * text and JSON are two prints of the same rows.
 */
#ifndef HACTL_H
#define HACTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl_msg.h"
#include "imsg.h"
#include "imsg_msg.h"

#define HACTL_JSON_SCHEMA 1
#define HACTL_SHOW_US     5000000 /* a view, then exit 5 */
#define HACTL_CHANGE_US   60000000 /* failover, failback, reload */
#define HACTL_ROWS_MAX    200000 /* of one kind */
#define HACTL_TEXT_MAX    (64u << 20) /* bytes of show config */
#define HACTL_QUERIES_MAX 4 /* as ctld allows at a time */

enum {
	EX_DONE = 0,
	EX_FAILED = 1,
	EX_WRONG = 2, /* usage, or the configuration */
	EX_NODAEMON = 3,
	EX_UNSAFE = 4,
	EX_LATE = 5
};

struct args {
	const char *sock;
	const char *conf;
	const char *node; /* NULL: found as hagwd does */
	const char *name; /* of a network or a rule; NULL: all */
	bool json;
	uint32_t number;
	uint32_t flags; /* CTL_F_* */
};

/* The kinds of row an answer is made of. */
enum row {
	ROW_NODE,
	ROW_PEER,
	ROW_WARNING,
	ROW_VRRP,
	ROW_VRRP_NET,
	ROW_SYNC,
	ROW_SYNC_PEER,
	ROW_NAT,
	ROW_NAT_RULE,
	ROW_EVENT,
	ROW_PROCESS,
	ROW_PROGRESS,
	ROW_MAX
};

/* words.c */
enum word_arg { ARG_NONE, ARG_NAME, ARG_NUMBER };

#define WORD_FULL  0x1 /* changes something: written out in full */
#define WORD_FIRST 0x2 /* wins when a beginning fits several */

struct word {
	const char *word; /* NULL ends a table */
	enum word_arg arg; /* may follow */
	unsigned int how; /* WORD_* */
	uint32_t flags; /* for the request */
	const struct word *next; /* words that may follow */
	int (*run)(const struct args *); /* NULL: a word must follow */
	const char *help;
};
extern const struct word hactl_words[];

/*
 * Find the command. NULL after saying on err what is wrong and which words
 * are possible there.
 */
const struct word *words_find(const struct word *, int argc, char *const argv[],
    struct args *, FILE *err);
void words_usage(FILE *);

/* client.c */
struct query {
	struct ctl_request req;
	bool ended;
	int32_t code;
	char text[CTL_TEXT_MAX]; /* cleaned */
};

/* A row, its length already checked; data is changed in place. */
struct conn_sink {
	int (*row)(void *arg, enum row, void *data);
	int (*text)(void *arg, const char *, size_t);
	void *arg;
};

struct conn {
	struct imsgbuf ibuf;
	struct ctl_hello hello;
	char why[512]; /* for people, when a call returned not EX_DONE */
};

/* All return EX_*; conn_close after success only. */
int conn_open(struct conn *, const char *path, uint64_t limit_us);
int conn_ask(struct conn *, struct query *, size_t n, uint64_t limit_us,
    const struct conn_sink *);
void conn_close(struct conn *);

/* show_rows.c: what a row is made of */
struct rows {
	unsigned char *v;
	size_t n;
	size_t max;
};

struct answer {
	struct rows rows[ROW_MAX];
	char *text;
	size_t textlen;
	struct query queries[HACTL_QUERIES_MAX];
	size_t nqueries;
};

enum row row_of_type(uint32_t imsg_type); /* ROW_MAX: not a row */
size_t row_size(enum row);
void row_clean(enum row, void *);
json_t *row_json(enum row, const void *);
void answer_free(struct answer *);
int answer_add(struct answer *, enum row, const void *); /* 0 or -1 */
/* The row, or NULL when there are fewer. */
const void *answer_row(const struct answer *, enum row, size_t i);
json_t *answer_json(const struct answer *, const char *command);
struct conn_sink answer_sink(struct answer *);
/* The process that answers a request: "vrrpd". */
const char *answer_who(uint32_t what);
/* Why it did not, as a sentence that begins with its name. Returns buf. */
char *answer_why(const struct query *, char *buf, size_t len);

/* show_view.c */
struct view {
	const char *command; /* "show vrrp" */
	uint32_t whats[HACTL_QUERIES_MAX]; /* 0 ends */
	bool partial; /* shows what there is when something is missing */
	void (*text)(FILE *, const struct answer *);
};
int view_run(const struct args *, const struct view *);
int view_ask(const struct args *, const struct view *, struct answer *,
    char *why, size_t whysz);

/* show_*.c */
int view_summary(const struct args *);
int view_vrrp(const struct args *);
int view_sync(const struct args *);
int view_nat(const struct args *);
int view_config(const struct args *);
int view_events(const struct args *);
int view_process(const struct args *);
void summary_text(FILE *, const struct answer *);
void vrrp_text(FILE *, const struct answer *);
void sync_text(FILE *, const struct answer *);
void nat_text(FILE *, const struct answer *);
void config_text(FILE *, const struct answer *);
void events_text(FILE *, const struct answer *);
void process_text(FILE *, const struct answer *);
void event_line(FILE *, const struct ctl_event *);
/* Those of the processes, and one for each that did not answer. */
size_t warnings_count(const struct answer *);
void warnings_text(FILE *, const struct answer *);
/* The same, and nothing when there are none. */
void warnings_if_any(FILE *, const struct answer *);

/* cmd_*.c */
int cmd_failover(const struct args *);
int cmd_failback(const struct args *);
int cmd_check(const struct args *);
int cmd_reload(const struct args *);
int cmd_log(const struct args *);
int cmd_monitor(const struct args *);
int cmd_health(const struct args *);
int cmd_version(const struct args *);
int cmd_help(const struct args *);
/* The judgement alone: 0 to 3, and its line. */
int health_judge(const struct answer *, char *line, size_t len);

/* out.c */
enum out_align { OUT_LEFT, OUT_RIGHT };
enum out_tone { TONE_PLAIN, TONE_GOOD, TONE_WARN, TONE_BAD };

struct out_col {
	const char *head;
	enum out_align align;
};

#define OUT_COLS_MAX 12

struct out_cell {
	char *text;
	enum out_tone tone;
};

/* Cells row by row; printed when every width is known. */
struct out_table {
	const struct out_col *cols;
	size_t ncols;
	struct out_cell *cells;
	size_t ncells;
	size_t max;
};

void out_colour(bool);
/* The word in its colour, where colours are on. Returns buf. */
char *out_tone(char *buf, size_t len, enum out_tone, const char *);
enum out_tone out_role_tone(uint32_t role);
void out_table_init(struct out_table *, const struct out_col *, size_t n);
void out_cell(struct out_table *, enum out_tone, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void out_table_print(FILE *, struct out_table *); /* and free it */
size_t out_width(const char *); /* columns, not bytes */
/*
 * Make bytes from elsewhere fit for a terminal: control characters, bad
 * UTF-8 and what turns text around become '?'. out_clean ends a fixed field
 * at its size, out_clean_lines too but keeps newlines; out_clean_text keeps
 * newlines and tabs.
 */
void out_clean(char *, size_t size);
void out_clean_lines(char *, size_t size);
void out_clean_text(char *, size_t len);
char *out_ms(char *buf, uint64_t us); /* "0.3 ms", "12 ms", "1.9 s" */
char *out_ago(char *buf, uint64_t us); /* "0.4s ago", "never" */
char *out_minute(char *buf, uint64_t real_ns); /* 2026-11-08 22:10 */
json_t *out_json_span(uint64_t us);
json_t *out_json_time(uint64_t real_ns);
json_t *out_json_new(const char *command);
/* The exit code, and what is to be said of it: result, or error. */
void out_json_end(json_t *, int code, const char *text);
/* Print and drop it; EX_FAILED when stdout is gone. */
int out_json_print(FILE *, json_t *, bool line);
int out_flush(int code); /* code, or EX_FAILED when stdout is gone */

#endif
