/* SPDX-License-Identifier: Apache-2.0
 *
 * PM ports, CMOS clock, keyboard controller; see legacy.h.
 */
#include "vmm/legacy.h"

#include <string.h>
#include <time.h>

#include "base/time.h"

/*
 * PM1 registers: ACPI 6.4, 4.8.3.  The hardware is always in ACPI mode; its
 * only source of power management events is the power button, 4.8.2.2.1.1.
 */
enum {
	PM1_PWRBTN = BIT(8),		/* of status and enable */
	PM1_SCI_EN = BIT(0),
	PM1_SLP_TYP_SHIFT = 10, PM1_SLP_TYP_MASK = 7,
	PM1_SLP_EN = BIT(13),
	PM1_CONTROL_KEPT = 0x1c06,	/* SLP_TYP, BM_RLD, GBL_RLS */
	PM_TIMER_MASK = 0xffffff,	/* 24 bits */

	PM1_STATUS = 0, PM1_ENABLE = 2, PM1_CONTROL = 4, PM_TIMER = 8,

	SLP_TYP_S5 = 0,			/* as \_S5 in dsdt.asl */
};

static uint32_t pm_timer(const struct pm *pm)
{
	uint64_t ns = pm->now_ns() - pm->start_ns;

	return (uint32_t)((unsigned __int128)ns * PM_TIMER_HZ / NS_PER_S) &
	       PM_TIMER_MASK;
}

/* All ports as one little-endian block; an access takes its part of it. */
static uint64_t pm_read(void *opaque, uint64_t off, unsigned int len)
{
	struct pm *pm = opaque;
	uint32_t word = 0;

	switch (off & ~3ull) {
	case PM1_STATUS:
		pthread_mutex_lock(&pm->lock);
		word = (uint32_t)pm->pm1_enable << 16 | pm->pm1_status;
		pthread_mutex_unlock(&pm->lock);
		break;
	case PM1_CONTROL:
		word = __atomic_load_n(&pm->pm1_control, __ATOMIC_RELAXED) |
		       PM1_SCI_EN;
		break;
	case PM_TIMER:
		word = pm_timer(pm);
		break;
	}
	return word >> (8 * (off & 3));
}

/* A level, as long as there is an event that is enabled.  Under the lock. */
static void update_sci(struct pm *pm)
{
	bool level = pm->pm1_status & pm->pm1_enable;

	if (level == pm->sci)
		return;
	pm->sci = level;
	pm->power->set_sci(pm->opaque, level);
}

/* Status and enable, as one dword; a 1 clears a bit of the former. */
static void write_events(struct pm *pm, unsigned int off, unsigned int len,
			 uint64_t val)
{
	uint32_t mask = (uint32_t)(BIT64(8 * min_of(len, 4u)) - 1) << (8 * off);
	uint32_t word = (uint32_t)val << (8 * off) & mask;

	pthread_mutex_lock(&pm->lock);
	pm->pm1_status &= (uint16_t)~word;
	pm->pm1_enable = (uint16_t)((pm->pm1_enable & ~(mask >> 16)) |
				    word >> 16);
	update_sci(pm);
	pthread_mutex_unlock(&pm->lock);
}

void pm_press_button(struct pm *pm)
{
	pthread_mutex_lock(&pm->lock);
	pm->pm1_status |= PM1_PWRBTN;
	update_sci(pm);
	pthread_mutex_unlock(&pm->lock);
}

static void pm_write(void *opaque, uint64_t off, unsigned int len, uint64_t val)
{
	struct pm *pm = opaque;

	if (off < PM1_CONTROL)
		write_events(pm, (unsigned int)off, len, val);
	if (off != PM1_CONTROL || len == 1)
		return;
	__atomic_store_n(&pm->pm1_control, (uint16_t)val & PM1_CONTROL_KEPT,
			 __ATOMIC_RELAXED);
	if ((val & PM1_SLP_EN) &&
	    ((val >> PM1_SLP_TYP_SHIFT) & PM1_SLP_TYP_MASK) == SLP_TYP_S5)
		pm->power->power_off(pm->opaque);
}

static const struct bus_dev_ops pm_ops = {
	.read = pm_read,
	.write = pm_write,
};

void pm_init(struct pm *pm, const struct power_ops *power, void *opaque,
	     uint64_t (*now_ns)(void))
{
	memset(pm, 0, sizeof(*pm));
	bus_dev_init(&pm->dev, "pm", &pm_ops, pm, 4);
	pm->power = power;
	pm->opaque = opaque;
	pm->now_ns = now_ns;
	pthread_mutex_init(&pm->lock, NULL);
	pm_reset(pm);
}

void pm_fini(struct pm *pm)
{
	pthread_mutex_destroy(&pm->lock);
}

void pm_reset(struct pm *pm)
{
	pthread_mutex_lock(&pm->lock);
	pm->pm1_status = pm->pm1_enable = 0;
	update_sci(pm);
	pthread_mutex_unlock(&pm->lock);
	pm->pm1_control = 0;
	pm->start_ns = pm->now_ns();
}

/* MC146818A registers; its time is the host's, in UTC. */
enum {
	RTC_SECONDS = 0, RTC_MINUTES = 2, RTC_HOURS = 4, RTC_WEEKDAY = 6,
	RTC_DAY = 7, RTC_MONTH = 8, RTC_YEAR = 9, RTC_A = 10, RTC_B = 11,
	RTC_C = 12, RTC_D = 13, RTC_CENTURY = 0x32,
	RTC_A_32KHZ = 0x26,		/* divider on, 1024 Hz; UIP never set */
	RTC_B_24H = 0x02,		/* BCD */
	RTC_D_VALID = 0x80,
	CMOS_INDEX_MASK = 0x7f,		/* bit 7 masks the NMI */
};

static uint8_t bcd(int v)
{
	return (uint8_t)(v / 10 << 4 | v % 10);
}

static uint8_t cmos_register(const struct cmos *cmos)
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	switch (cmos->index) {
	case RTC_SECONDS: return bcd(tm.tm_sec % 60);	/* no leap second */
	case RTC_MINUTES: return bcd(tm.tm_min);
	case RTC_HOURS:   return bcd(tm.tm_hour);
	case RTC_WEEKDAY: return bcd(tm.tm_wday + 1);
	case RTC_DAY:     return bcd(tm.tm_mday);
	case RTC_MONTH:   return bcd(tm.tm_mon + 1);
	case RTC_YEAR:    return bcd(tm.tm_year % 100);
	case RTC_CENTURY: return bcd((tm.tm_year + 1900) / 100);
	case RTC_A:       return RTC_A_32KHZ;
	case RTC_B:       return RTC_B_24H;
	case RTC_C:       return 0;		/* no interrupt */
	case RTC_D:       return RTC_D_VALID;
	default:          return cmos->ram[cmos->index];
	}
}

static uint64_t cmos_read(void *opaque, uint64_t off, unsigned int len)
{
	struct cmos *cmos = opaque;
	uint8_t val = 0xff;		/* the index is write only */

	pthread_mutex_lock(&cmos->lock);
	if (off == 1)
		val = cmos_register(cmos);
	pthread_mutex_unlock(&cmos->lock);
	return val;
}

static void cmos_write(void *opaque, uint64_t off, unsigned int len,
		       uint64_t val)
{
	struct cmos *cmos = opaque;

	pthread_mutex_lock(&cmos->lock);
	if (off == 0)
		cmos->index = val & CMOS_INDEX_MASK;
	else
		cmos->ram[cmos->index] = (uint8_t)val;
	pthread_mutex_unlock(&cmos->lock);
}

static const struct bus_dev_ops cmos_ops = {
	.read = cmos_read,
	.write = cmos_write,
};

void cmos_init(struct cmos *cmos)
{
	memset(cmos, 0, sizeof(*cmos));
	bus_dev_init(&cmos->dev, "cmos", &cmos_ops, cmos, 1);
	pthread_mutex_init(&cmos->lock, NULL);
}

void cmos_fini(struct cmos *cmos)
{
	pthread_mutex_destroy(&cmos->lock);
}

enum { KBC_PULSE_RESET = 0xfe };

/* Empty buffers, both: whoever polls the status gets on. */
static uint64_t kbc_read(void *opaque, uint64_t off, unsigned int len)
{
	return 0;
}

static void kbc_data_write(void *opaque, uint64_t off, unsigned int len,
			   uint64_t val)
{
}

static void kbc_write(void *opaque, uint64_t off, unsigned int len,
		      uint64_t val)
{
	struct i8042 *kbc = opaque;

	if (val == KBC_PULSE_RESET)
		kbc->power->reset(kbc->opaque);
}

static const struct bus_dev_ops kbc_data_ops = {
	.read = kbc_read,
	.write = kbc_data_write,
};

static const struct bus_dev_ops kbc_ops = {
	.read = kbc_read,
	.write = kbc_write,
};

void i8042_init(struct i8042 *kbc, const struct power_ops *power, void *opaque)
{
	bus_dev_init(&kbc->data_dev, "i8042-data", &kbc_data_ops, kbc, 1);
	bus_dev_init(&kbc->dev, "i8042", &kbc_ops, kbc, 1);
	kbc->power = power;
	kbc->opaque = opaque;
}
