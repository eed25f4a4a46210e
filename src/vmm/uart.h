/* SPDX-License-Identifier: Apache-2.0
 *
 * A 16550A serial port on a line of unlimited speed with RTS/CTS flow control:
 * while the guest holds RTS low nothing arrives, and while the far end takes
 * nothing the transmitter stays full.
 *
 * Between the registers and the file descriptors of a chardev lie two buffers.
 * Bytes in `rx` beyond the 16 of the FIFO stand for those still on the line.
 *
 * Threads: any; the port has its own lock, and calls set_irq and wake with it
 * held (they must not call back).
 */
#ifndef VMM_UART_H
#define VMM_UART_H

#include <pthread.h>
#include <stdint.h>

#include "base/util.h"
#include "vmm/bus.h"

enum { UART_N_REGS = 8, UART_FIFO_LEN = 16, UART_BUF_LEN = 4096 };

/* A ring of bytes; the indexes run freely. */
struct uart_buf {
	uint8_t data[UART_BUF_LEN];
	unsigned int head;	/* next byte out */
	unsigned int tail;	/* next byte in */
};

/* What the port needs from the machine. */
struct uart_host {
	void (*set_irq)(void *opaque, bool level);
	/* There is something to send, or room for what arrives. */
	void (*wake)(void *opaque);
	void *opaque;
};

struct uart {
	struct bus_dev dev;	/* its eight ports */
	struct uart_host host;
	pthread_mutex_t lock;	/* of all below */
	bool lossy;		/* nobody listens: what does not fit is lost */

	/* Registers, named as in the 16550 data sheet. */
	uint8_t ier;		/* interrupt enable */
	uint8_t fcr;		/* FIFO control */
	uint8_t lcr;		/* line control */
	uint8_t mcr;		/* modem control */
	uint8_t scr;		/* scratch */
	uint8_t dll, dlm;	/* divisor latch; the speed is not modelled */
	bool overrun;		/* LSR.OE */
	bool thre_pending;	/* the THRE interrupt has not been taken */
	bool irq_level;		/* as last told to the host */

	struct uart_buf rx;	/* to the guest */
	struct uart_buf tx;	/* from the guest */
	uint64_t n_tx_lost;	/* bytes the far end had no room for */
};

void uart_init(struct uart *uart, const char *name,
	       const struct uart_host *host);
void uart_fini(struct uart *uart);

/** uart_reset() - as by the chip's MR pin; what is on the line is lost */
void uart_reset(struct uart *uart);

/** uart_set_lossy() - whether output that finds no room is lost */
void uart_set_lossy(struct uart *uart, bool lossy);

/** uart_rx_room() - how many bytes uart_rx() would take now */
unsigned int uart_rx_room(struct uart *uart);

/** uart_rx() - bytes from the line, at most uart_rx_room() of them */
void uart_rx(struct uart *uart, const uint8_t *data, unsigned int len);

/** uart_tx_peek() - copy bytes to send, without taking them; how many */
unsigned int uart_tx_peek(struct uart *uart, uint8_t *data, unsigned int max);

/** uart_tx_done() - @len of the bytes shown by uart_tx_peek() have been sent */
void uart_tx_done(struct uart *uart, unsigned int len);

#endif
