/* SPDX-License-Identifier: Apache-2.0
 *
 * For lab_schema.c: decoders of the single values in a lab file, and what all
 * decoders have in common.
 */
#ifndef CTL_LAB_VALUE_H
#define CTL_LAB_VALUE_H

#include <yaml.h>

#include "ctl/lab_schema.h"

struct decoder {
	yaml_document_t *doc;		/* what is being read */
	struct lab *lab;		/* what is being filled in */
	struct lab_error *error;	/* why it was refused */
	char path[256];			/* of the current key: "machines.a" */
};

struct key;

/* Decode @node into @field; false: refused. */
typedef bool (*decode_fn)(struct decoder *d, const struct key *key,
			  yaml_node_t *node, void *field);

/* One key of a mapping. */
struct key {
	const char *name;	/* as written in the file; NULL ends a table */
	decode_fn decode;	/* its type */
	const char *type;	/* its type in words, for the reference */
	size_t offset;		/* of the field in the struct filled in */
	uint64_t min, max;	/* bounds, where the type has any */
	bool required;		/* refuse a mapping without it */
	const char *fallback;	/* value if not written; NULL: field stays 0 */
	const struct key *sub;	/* keys of what it contains */
	const char *help;	/* one sentence for the reference */
};

/** refuse() - say what is wrong with @node; always false */
#define refuse(d, node, fmt, ...)					\
	lab_refuse((d)->error, (d)->lab->file, lab_line_of(node),	\
		   "%s: " fmt, (d)->path, ##__VA_ARGS__)

unsigned int lab_line_of(const yaml_node_t *node);

/** lab_path_push() - extend the path by a key or (@sep "[") an index
 *
 * Return: the length before, for lab_path_pop().
 */
size_t lab_path_push(struct decoder *d, const char *sep, const char *name);
void lab_path_pop(struct decoder *d, size_t len);

/** lab_kind_of() - "a mapping", "a list", "a value" */
const char *lab_kind_of(const yaml_node_t *node);

/** lab_is_empty() - is it `key:` with nothing behind it? */
bool lab_is_empty(const yaml_node_t *node);

/** lab_scalar() - the text of a scalar without NULs inside; NULL: refused */
const char *lab_scalar(struct decoder *d, const struct key *key,
		       yaml_node_t *node);

/* The types of values; each says in its row of the table what it expects. */
bool decode_name(struct decoder *d, const struct key *key, yaml_node_t *node,
		 void *field);
bool decode_number(struct decoder *d, const struct key *key, yaml_node_t *node,
		   void *field);
bool decode_size(struct decoder *d, const struct key *key, yaml_node_t *node,
		 void *field);
bool decode_path(struct decoder *d, const struct key *key, yaml_node_t *node,
		 void *field);
bool decode_text(struct decoder *d, const struct key *key, yaml_node_t *node,
		 void *field);
bool decode_mac(struct decoder *d, const struct key *key, yaml_node_t *node,
		void *field);
bool decode_model(struct decoder *d, const struct key *key, yaml_node_t *node,
		  void *field);
bool decode_caps(struct decoder *d, const struct key *key, yaml_node_t *node,
		 void *field);
bool decode_board(struct decoder *d, const struct key *key, yaml_node_t *node,
		  void *field);
bool decode_yes(struct decoder *d, const struct key *key, yaml_node_t *node,
		void *field);
bool decode_link(struct decoder *d, const struct key *key, yaml_node_t *node,
		 void *field);
bool decode_format(struct decoder *d, const struct key *key, yaml_node_t *node,
		   void *field);

#endif
