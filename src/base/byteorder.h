/* SPDX-License-Identifier: Apache-2.0
 *
 * Integers of a fixed byte order, as types of their own: a be16 cannot be
 * mixed up with a uint16_t, it has to pass one of these functions.  All are
 * alignment 1, so that wire structs need no packing.
 */
#ifndef BASE_BYTEORDER_H
#define BASE_BYTEORDER_H

#include <stdint.h>
#include <string.h>

typedef struct { uint8_t b[2]; } be16;
typedef struct { uint8_t b[4]; } be32;
typedef struct { uint8_t b[2]; } le16;
typedef struct { uint8_t b[4]; } le32;
typedef struct { uint8_t b[8]; } le64;

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Backplane runs on little-endian x86-64 only"
#endif

#define BYTEORDER_DEFINE(type, raw, swap)			\
	static inline raw type##_get(type v)			\
	{							\
		raw r;						\
								\
		memcpy(&r, v.b, sizeof(r));			\
		return swap(r);					\
	}							\
	static inline type type##_of(raw r)			\
	{							\
		type v;						\
								\
		r = swap(r);					\
		memcpy(v.b, &r, sizeof(r));			\
		return v;					\
	}							\
	static inline raw type##_load(const void *p)		\
	{							\
		type v;						\
								\
		memcpy(&v, p, sizeof(v));			\
		return type##_get(v);				\
	}							\
	static inline void type##_store(void *p, raw r)		\
	{							\
		type v = type##_of(r);				\
								\
		memcpy(p, &v, sizeof(v));			\
	}

BYTEORDER_DEFINE(be16, uint16_t, __builtin_bswap16)
BYTEORDER_DEFINE(be32, uint32_t, __builtin_bswap32)
BYTEORDER_DEFINE(le16, uint16_t, )
BYTEORDER_DEFINE(le32, uint32_t, )
BYTEORDER_DEFINE(le64, uint64_t, )

#undef BYTEORDER_DEFINE

#endif
