/* SPDX-License-Identifier: Apache-2.0
 *
 * The small chips a PC has always had, as far as a kernel booted directly
 * misses them: power management ports with the PM timer (as in the PIIX4) and
 * the power button, the real-time clock's CMOS memory, and the keyboard
 * controller's reset line.
 *
 * Threads: register accesses from any vCPU.
 */
#ifndef VMM_LEGACY_H
#define VMM_LEGACY_H

#include <pthread.h>
#include <stdint.h>

#include "base/util.h"
#include "vmm/bus.h"

/* Where they are; the ACPI tables say the same from these names. */
enum {
	CMOS_PORT = 0x70, CMOS_LEN = 2,
	I8042_PORT = 0x60,	/* and 0x64; 0x61 belongs to the PIT */
	I8042_STATUS_PORT = 0x64,
	PM_PORT = 0x600,
	PM1A_EVT_PORT = PM_PORT, PM1A_EVT_LEN = 4,
	PM1A_CNT_PORT = PM_PORT + 4, PM1A_CNT_LEN = 2,
	PM_TMR_PORT = PM_PORT + 8, PM_TMR_LEN = 4,
	PM_TIMER_HZ = 3579545,
};

/* What a chip can ask of the machine; called by the vCPU that wrote. */
struct power_ops {
	void (*power_off)(void *opaque);
	void (*reset)(void *opaque);
	/* Drive the system control interrupt; any thread. */
	void (*set_sci)(void *opaque, bool level);
};

struct pm {
	struct bus_dev dev;
	const struct power_ops *power;
	void *opaque;			/* for power */
	uint64_t (*now_ns)(void);	/* the clock; tests have their own */
	uint64_t start_ns;		/* when the PM timer was 0 */
	uint16_t pm1_control;		/* less SLP_EN, which reads as 0 */

	pthread_mutex_t lock;		/* of all below */
	uint16_t pm1_status;		/* events: of the power button alone */
	uint16_t pm1_enable;		/* those that interrupt */
	bool sci;			/* the line's level */
};

struct cmos {
	struct bus_dev dev;
	pthread_mutex_t lock;		/* of the two below */
	uint8_t index;			/* last written to port 0x70 */
	uint8_t ram[128];		/* what a guest left there */
};

struct i8042 {
	struct bus_dev data_dev;	/* port 0x60 */
	struct bus_dev dev;		/* port 0x64 */
	const struct power_ops *power;
	void *opaque;			/* for power */
};

void pm_init(struct pm *pm, const struct power_ops *power, void *opaque,
	     uint64_t (*now_ns)(void));
void pm_fini(struct pm *pm);
void pm_reset(struct pm *pm);

/** pm_press_button() - the power button: whether anything comes of it is up to
 * the guest; any thread */
void pm_press_button(struct pm *pm);

void cmos_init(struct cmos *cmos);
void cmos_fini(struct cmos *cmos);

void i8042_init(struct i8042 *kbc, const struct power_ops *power, void *opaque);

#endif
