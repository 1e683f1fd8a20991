#include <sys/mman.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <unistd.h>

#include "log.h"
#include "sandbox.h"

/*
 * What every process needs: the socketpair, the event loop, memory that is
 * never executable, and a way to end. mmap's and mprotect's protection is
 * their third argument.
 */
static const struct sandbox_call common_calls[] = {
    {"read", SB_ANY, 0, 0, 0},
    {"write", SB_ANY, 0, 0, 0},
    {"writev", SB_ANY, 0, 0, 0},
    {"close", SB_ANY, 0, 0, 0},
    {"recvmsg", SB_ANY, 0, 0, 0},
    {"epoll_wait", SB_ANY, 0, 0, 0},
    {"epoll_pwait", SB_ANY, 0, 0, 0},
    {"epoll_ctl", SB_ANY, 0, 0, 0},
    {"timerfd_settime", SB_ANY, 0, 0, 0},
    {"clock_gettime", SB_ANY, 0, 0, 0},
    {"gettimeofday", SB_ANY, 0, 0, 0},
    {"getpid", SB_ANY, 0, 0, 0},
    {"gettid", SB_ANY, 0, 0, 0},
    {"getrandom", SB_ANY, 0, 0, 0},
    {"brk", SB_ANY, 0, 0, 0},
    {"mmap", SB_ARG_MASKED, 2, PROT_EXEC, 0},
    {"mprotect", SB_ARG_MASKED, 2, PROT_EXEC, 0},
    {"munmap", SB_ANY, 0, 0, 0},
    {"mremap", SB_ANY, 0, 0, 0},
    {"madvise", SB_ANY, 0, 0, 0},
    {"futex", SB_ANY, 0, 0, 0},
    {"fcntl", SB_ARG, 1, 0, F_GETFL},
    {"fcntl", SB_ARG, 1, 0, F_SETFL},
    {"rt_sigreturn", SB_ANY, 0, 0, 0},
    {"rt_sigprocmask", SB_ANY, 0, 0, 0},
    {"rt_sigaction", SB_ANY, 0, 0, 0},
    {"sigaltstack", SB_ANY, 0, 0, 0},
    {"restart_syscall", SB_ANY, 0, 0, 0},
    {"exit", SB_ANY, 0, 0, 0},
    {"exit_group", SB_ANY, 0, 0, 0},
};

static void
allow(scmp_filter_ctx ctx, const struct sandbox_call *c)
{
	int nr = seccomp_syscall_resolve_name(c->name);
	struct scmp_arg_cmp cmp;
	int ret;

	if (nr == __NR_SCMP_ERROR)
		fatalx("seccomp: no system call is named %s", c->name);
	switch (c->kind) {
	case SB_ARG:
		cmp = (struct scmp_arg_cmp){
		    .arg = c->arg, .op = SCMP_CMP_EQ, .datum_a = c->value};
		ret = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, 1, &cmp);
		break;
	case SB_ARG_MASKED:
		cmp = (struct scmp_arg_cmp){.arg = c->arg,
		    .op = SCMP_CMP_MASKED_EQ,
		    .datum_a = c->mask,
		    .datum_b = c->value};
		ret = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, 1, &cmp);
		break;
	case SB_ANY:
		ret = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, 0, NULL);
		break;
	default:
		fatalx("seccomp: %s: unknown kind of rule", c->name);
	}
	if (ret != 0) {
		errno = -ret;
		fatal("seccomp: rule for %s", c->name);
	}
}

static scmp_filter_ctx
filter_new(uint32_t otherwise)
{
	scmp_filter_ctx ctx = seccomp_init(otherwise);

	if (ctx == NULL)
		fatalx("seccomp: no memory for the filter");
	/* a call of another architecture, x32 among them, kills as well */
	if (seccomp_attr_set(
		ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) != 0)
		fatalx("seccomp: foreign architectures cannot be refused");
	return ctx;
}

static void
filter_load(
    scmp_filter_ctx ctx, const struct sandbox_call *calls, size_t ncalls)
{
	int ret;

	for (size_t i = 0; i < nitems(common_calls); i++)
		allow(ctx, &common_calls[i]);
	for (size_t i = 0; i < ncalls; i++)
		allow(ctx, &calls[i]);
	if ((ret = seccomp_load(ctx)) != 0) {
		errno = -ret;
		fatal("seccomp: the kernel does not take the filter");
	}
	seccomp_release(ctx);
}

void
seccomp_enter(const struct sandbox_profile *p)
{
	scmp_filter_ctx ctx = filter_new(SCMP_ACT_KILL_PROCESS);
	/* abort signals itself, and nobody else */
	struct sandbox_call own = {"tgkill", SB_ARG, 0, 0, (uint64_t)getpid()};

	allow(ctx, &own);
	filter_load(ctx, p->calls, p->ncalls);
}

void
seccomp_confine(const struct sandbox_call *calls, size_t n)
{
	scmp_filter_ctx ctx = filter_new(SCMP_ACT_ERRNO(EPERM));

	/* refusals are worth a line in the kernel's log, where it has one */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1);
	filter_load(ctx, calls, n);
}
