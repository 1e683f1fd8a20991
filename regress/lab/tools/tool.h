/*
 * What the lab's programs share: one thread, an epoll loop, a line-oriented
 * control channel on stdin (its end is the order to exit, so that no tool
 * outlives the test that started it) and one JSON object per line on stdout.
 */
#ifndef TOOL_H
#define TOOL_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct nlmsghdr;

struct tool_line {
	size_t len;
	char buf[256];
};

uint64_t tool_now_us(void);
/*
 * CPU time of a process (0: this one), and of children and threads it makes
 * later, as perf's task-clock has it. What getrusage(2) and schedstat say is
 * no measure: on a kernel that does not preempt itself, a task that was woken
 * up is charged for what the waker's system call still takes. -1 where the
 * kernel does not let us, a container's for example, and so is its time.
 */
int tool_cpu_open(pid_t);
long long tool_cpu_us(int fd);
/* A timer that fires each interval, and an epoll set to put it into. */
int tool_timer(uint64_t interval_us);
void tool_watch(int epfd, int fd, uint64_t cookie, uint32_t events);
/*
 * Say {"listening": true}, then call ready(fd) whenever fd can be read and
 * command for each line of stdin, until its end. Makes stdout line-buffered.
 */
void tool_listen(
    int fd, void (*ready)(int fd), void (*command)(const char *line));
/*
 * Read stdin and hand each complete line to cb. 0, or -1 at its end.
 */
int tool_control(struct tool_line *, void (*cb)(const char *line));
/* Numeric address and port only. */
socklen_t tool_addr(
    const char *host, const char *port, struct sockaddr_storage *);
/* A number in [lo, hi] or exit with a message naming what it is. */
uint64_t tool_number(const char *what, const char *s, uint64_t lo, uint64_t hi);
/*
 * Start a ctnetlink request in buf (type: IPCTNL_MSG_CT_*), ready for
 * attributes.
 */
struct nlmsghdr *tool_ct_header(
    void *buf, uint8_t type, uint8_t family, uint16_t flags);
/* As many descriptors as the limits allow. */
void tool_nofile(void);

#endif
