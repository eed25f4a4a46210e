/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes of regions, which a session does not lose; see journal.h.
 */
#include <errno.h>
#include <string.h>

#include "vfio_user/client_internal.h"

bool vfu_client_keep(struct vfu_client *c, struct vfu_kept *kept)
{
	if (c->next)
		return false;
	kept->nr = vfu_journal_add(&c->journal, &kept->write);
	return true;
}

/* It has not been sent, the connection being over. */
static void keep_unsent(struct vfu_client *c, struct vfu_kept *kept)
{
	pthread_mutex_lock(&c->send_lock);
	if (!kept->nr)
		(void)!vfu_client_keep(c, kept);
	pthread_mutex_unlock(&c->send_lock);
}

static void answered(struct vfu_client *c, const struct vfu_kept *kept)
{
	pthread_mutex_lock(&c->send_lock);
	vfu_journal_done(&c->journal, kept->nr);
	pthread_mutex_unlock(&c->send_lock);
}

static int post(struct vfu_client *c, const struct vfu_request *r)
{
	int err;

	if (__atomic_load_n(&c->dead, __ATOMIC_RELAXED))
		return -ENOTCONN;
	__atomic_fetch_add(&c->n_posted, 1, __ATOMIC_SEQ_CST);
	err = vfu_client_send(c, r, 0, VFU_NO_REPLY);
	/* Not earlier: another thread's may have been sent before it. */
	vfu_client_shared_posted(c, r->body);
	return err;
}

static bool journal_asks(const struct vfu_client *c)
{
	return __atomic_load_n(&c->journal.n, __ATOMIC_RELAXED) >=
		VFU_JOURNAL_ASK;
}

/* Send it, or keep it if that cannot be done; as vfu_client_write(). */
static int send_write(struct vfu_client *c, const struct vfu_request *r,
		      bool posted)
{
	struct vfu_client *next;
	int err;

	posted = posted && !journal_asks(c);
	err = posted ? post(c, r) : vfu_client_call(c, r, NULL);
	if (err != -ENOTCONN) {
		if (!posted && r->kept->nr)
			answered(c, r->kept);
		return err;
	}
	keep_unsent(c, r->kept);
	if (r->kept->nr)
		return r->kept->write.len ? 0 : -ENOTCONN;
	next = __atomic_load_n(&c->next, __ATOMIC_ACQUIRE);
	return next ? send_write(next, r, posted) : -ENOTCONN;
}

int vfu_client_write(struct vfu_client *client, unsigned int index,
		     uint64_t off, const void *buf, uint32_t len, bool posted)
{
	struct vfu_region_access a = { off, index, len }, reply;
	struct vfu_kept kept = {
		.write = { .off = off, .index = (uint8_t)index },
	};
	struct vfu_request r = {
		.command = VFU_REGION_WRITE, .fd = -1,
		.body = &a, .body_len = sizeof(a),
		.data = buf, .data_len = len,
		.reply = &reply, .reply_min = sizeof(reply),
		.reply_max = sizeof(reply), .kept = &kept,
	};

	if (!len || len > client->max_data || index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	if (posted && vfu_client_shared_write(client, index, off, buf, len))
		return 0;
	if (len <= VFU_JOURNAL_DATA) {
		memcpy(kept.write.data, buf, len);
		kept.write.len = (uint8_t)len;
	}
	return send_write(client, &r, posted);
}

bool vfu_client_resumes(const struct vfu_client *fresh, struct vfu_client *old)
{
	bool resumes;

	pthread_mutex_lock(&old->send_lock);
	resumes = vfu_journal_resumes(&old->journal, fresh->journal.n_done);
	pthread_mutex_unlock(&old->send_lock);
	return resumes && fresh->journal.writes;
}

/* Make again what the server has not dealt with; with old->send_lock held, so
 * that nothing gets in between. */
static unsigned int replay(struct vfu_client *fresh,
			   const struct vfu_journal *j)
{
	unsigned int first = vfu_journal_first(j, fresh->journal.n_done);

	/* What fails now is kept by @fresh in its turn. */
	if (j->reset_due)
		(void)!vfu_client_reset(fresh);
	for (unsigned int i = first; i < j->n; i++) {
		const struct vfu_write *w = &j->writes[i];

		(void)!vfu_client_write(fresh, w->index, w->off, w->data,
					w->len, true);
	}
	return j->n - first;
}

unsigned int vfu_client_take_over(struct vfu_client *fresh,
				  struct vfu_client *old, bool resume)
{
	unsigned int n;

	pthread_mutex_lock(&old->send_lock);
	n = old->journal.n;
	if (resume && vfu_journal_resumes(&old->journal,
					  fresh->journal.n_done)) {
		n = replay(fresh, &old->journal);
	} else if (resume) {
		/* It has just got too long.  Whoever finds out that @fresh is
		 * over, too, will know better. */
		fresh->journal.full = true;
		vfu_client_cut(fresh);
	}
	vfu_journal_close(&old->journal);
	__atomic_store_n(&old->next, fresh, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&old->send_lock);
	return n;
}

int vfu_client_reset(struct vfu_client *client)
{
	struct vfu_request r = { .command = VFU_RESET, .fd = -1 };
	int err = vfu_client_call(client, &r, NULL);

	if (err == -ENOTCONN) {
		pthread_mutex_lock(&client->send_lock);
		vfu_journal_reset(&client->journal);
		pthread_mutex_unlock(&client->send_lock);
	}
	return err;
}
