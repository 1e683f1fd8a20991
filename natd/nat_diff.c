/* What has to change to get from one plan to another. Pure. */
#include <stdlib.h>
#include <string.h>

#include "natd.h"

/* The key is the same; is what it maps to? */
static bool
same_data(const struct nat_elem *a, const struct nat_elem *b)
{
	return a->to.s_addr == b->to.s_addr && a->to_port == b->to_port;
}

/* Both plans are sorted: one walk along both. */
static void
diff_elems(
    struct nat_delta *d, const struct nat_plan *from, const struct nat_plan *to)
{
	size_t i = 0, j = 0;
	int r;

	while (i < from->nelems || j < to->nelems) {
		if (i == from->nelems)
			r = 1;
		else if (j == to->nelems)
			r = -1;
		else
			r = nat_elem_cmp(&from->elems[i], &to->elems[j]);
		if (r == 0 && same_data(&from->elems[i], &to->elems[j])) {
			i++;
			j++;
			continue;
		}
		if (r <= 0)
			d->del[d->ndel++] = &from->elems[i++];
		if (r >= 0)
			d->add[d->nadd++] = &to->elems[j++];
	}
}

/* The rules of one chain, which stand together. */
static const struct nat_rule *
chain_rules(const struct nat_plan *p, uint8_t chain, size_t *n)
{
	size_t i, first;

	for (first = 0; first < p->nrules; first++) {
		if (p->rules[first].chain == chain)
			break;
	}
	for (i = first; i < p->nrules && p->rules[i].chain == chain; i++)
		continue;
	*n = i - first;
	return &p->rules[first];
}

static bool
chain_differs(const struct nat_plan *a, const struct nat_plan *b, uint8_t chain)
{
	const struct nat_rule *x, *y;
	size_t nx, ny;

	x = chain_rules(a, chain, &nx);
	y = chain_rules(b, chain, &ny);
	return nx != ny || memcmp(x, y, nx * sizeof(*x)) != 0;
}

int
diff_plans(
    struct nat_delta *d, const struct nat_plan *from, const struct nat_plan *to)
{
	uint8_t c;

	memset(d, 0, sizeof(*d));
	d->del = calloc(from->nelems + 1, sizeof(*d->del));
	d->add = calloc(to->nelems + 1, sizeof(*d->add));
	if (d->del == NULL || d->add == NULL) {
		diff_free(d);
		return -1;
	}
	diff_elems(d, from, to);
	for (c = 0; c < NC_MAX; c++)
		d->chain[c] = chain_differs(from, to, c);
	return 0;
}

void
diff_free(struct nat_delta *d)
{
	free(d->del);
	free(d->add);
	memset(d, 0, sizeof(*d));
}
