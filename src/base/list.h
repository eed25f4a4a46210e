/* SPDX-License-Identifier: Apache-2.0
 *
 * An intrusive doubly linked list.  A head points at itself when empty; a node
 * not on a list may be removed again if it was list_init()ed.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/util.h"

struct list {
	struct list *next;	/* first, or the head itself */
	struct list *prev;	/* last, or the head itself */
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_append(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Walk the structures of type *@pos; @pos may be removed on the way. */
#define list_for_each(pos, tmp, head, member)				\
	for (pos = container_of((head)->next, __typeof__(*pos), member), \
	     tmp = pos->member.next;					\
	     &pos->member != (head);					\
	     pos = container_of(tmp, __typeof__(*pos), member),		\
	     tmp = pos->member.next)

#endif
