/* SPDX-License-Identifier: Apache-2.0
 *
 * A 16550A; see uart.h.  Section numbers are those of National Semiconductor's
 * PC16550D data sheet (June 1995).
 */
#include "vmm/uart.h"

#include <string.h>

/* Register offsets; DLAB selects the divisor latch in the first two. */
enum {
	RBR_THR = 0, IER = 1, IIR_FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6,
	SCR = 7,
};

enum {
	IER_RDA = BIT(0), IER_THRE = BIT(1), IER_RLS = BIT(2),
	IER_WRITABLE = 0x0f,

	/* Interrupt identification, by falling priority (8.6.1). */
	IIR_NONE = 0x01, IIR_RLS = 0x06, IIR_RDA = 0x04, IIR_TIMEOUT = 0x0c,
	IIR_THRE = 0x02, IIR_FIFOS_ON = 0xc0,

	FCR_ENABLE = BIT(0), FCR_CLEAR_RX = BIT(1), FCR_CLEAR_TX = BIT(2),
	FCR_KEPT = 0xc9, FCR_TRIGGER_SHIFT = 6,

	LCR_DLAB = BIT(7),

	MCR_DTR = BIT(0), MCR_RTS = BIT(1), MCR_OUT1 = BIT(2),
	MCR_OUT2 = BIT(3), MCR_LOOP = BIT(4), MCR_WRITABLE = 0x1f,

	LSR_DR = BIT(0), LSR_OE = BIT(1), LSR_THRE = BIT(5), LSR_TEMT = BIT(6),

	MSR_CTS = BIT(4), MSR_DSR = BIT(5), MSR_RI = BIT(6), MSR_DCD = BIT(7),
};

static unsigned int buf_len(const struct uart_buf *b)
{
	return b->tail - b->head;
}

static unsigned int buf_room(const struct uart_buf *b)
{
	return UART_BUF_LEN - buf_len(b);
}

static void buf_put(struct uart_buf *b, uint8_t byte)
{
	b->data[b->tail++ % UART_BUF_LEN] = byte;
}

static uint8_t buf_get(struct uart_buf *b)
{
	return b->data[b->head++ % UART_BUF_LEN];
}

static bool thr_empty(const struct uart *u)
{
	return buf_room(&u->tx) >= UART_FIFO_LEN || u->lossy;
}

static uint8_t iir(const struct uart *u)
{
	static const uint8_t trigger[4] = { 1, 4, 8, 14 };
	unsigned int n = buf_len(&u->rx);

	if ((u->ier & IER_RLS) && u->overrun)
		return IIR_RLS;
	if ((u->ier & IER_RDA) && n) {
		if (!(u->fcr & FCR_ENABLE) ||
		    n >= trigger[u->fcr >> FCR_TRIGGER_SHIFT])
			return IIR_RDA;
		/* On a line this fast the four character times are over. */
		return IIR_TIMEOUT;
	}
	if ((u->ier & IER_THRE) && u->thre_pending)
		return IIR_THRE;
	return IIR_NONE;
}

/* On a PC, OUT2 gates the interrupt pin. */
static void irq_update(struct uart *u)
{
	bool level = iir(u) != IIR_NONE && (u->mcr & MCR_OUT2) &&
		     !(u->mcr & MCR_LOOP);

	if (level == u->irq_level)
		return;
	u->irq_level = level;
	u->host.set_irq(u->host.opaque, level);
}

static uint8_t msr(const struct uart *u)
{
	uint8_t val = 0;

	if (!(u->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	/* Loop back: the outputs are wired to the inputs (8.7). */
	if (u->mcr & MCR_RTS)
		val |= MSR_CTS;
	if (u->mcr & MCR_DTR)
		val |= MSR_DSR;
	if (u->mcr & MCR_OUT1)
		val |= MSR_RI;
	if (u->mcr & MCR_OUT2)
		val |= MSR_DCD;
	return val;
}

static uint8_t lsr(struct uart *u)
{
	uint8_t val = 0;

	if (buf_len(&u->rx))
		val |= LSR_DR;
	if (u->overrun)
		val |= LSR_OE;
	if (thr_empty(u))
		val |= LSR_THRE | LSR_TEMT;
	u->overrun = false;
	return val;
}

static uint8_t rbr_read(struct uart *u)
{
	uint8_t val;

	if (!buf_len(&u->rx))
		return 0;
	val = buf_get(&u->rx);
	if (!buf_len(&u->rx))
		u->host.wake(u->host.opaque);
	return val;
}

static void thr_write(struct uart *u, uint8_t val)
{
	if (u->mcr & MCR_LOOP) {
		if (buf_room(&u->rx))
			buf_put(&u->rx, val);
		else
			u->overrun = true;
	} else if (buf_room(&u->tx)) {
		bool first = !buf_len(&u->tx);

		buf_put(&u->tx, val);
		if (first)
			u->host.wake(u->host.opaque);
	} else {
		u->n_tx_lost++;
	}
	u->thre_pending = thr_empty(u);
}

static void fcr_write(struct uart *u, uint8_t val)
{
	/* Toggling the enable bit clears both FIFOs (8.5). */
	if ((val ^ u->fcr) & FCR_ENABLE)
		val |= FCR_CLEAR_RX | FCR_CLEAR_TX;
	u->fcr = val & FCR_KEPT;
	/* What is still on the line arrives afterwards.  Bytes to send have
	 * left the FIFO at once, so there is nothing to clear. */
	if (val & FCR_CLEAR_RX)
		u->rx.head += min_of(buf_len(&u->rx),
				     (unsigned int)UART_FIFO_LEN);
}

static uint64_t uart_read(void *opaque, uint64_t off, unsigned int len)
{
	struct uart *u = opaque;
	bool dlab = u->lcr & LCR_DLAB;
	uint8_t val = 0;

	pthread_mutex_lock(&u->lock);
	switch (off) {
	case RBR_THR:
		val = dlab ? u->dll : rbr_read(u);
		break;
	case IER:
		val = dlab ? u->dlm : u->ier;
		break;
	case IIR_FCR:
		val = iir(u);
		if (val == IIR_THRE)
			u->thre_pending = false;
		if (u->fcr & FCR_ENABLE)
			val |= IIR_FIFOS_ON;
		break;
	case LCR:
		val = u->lcr;
		break;
	case MCR:
		val = u->mcr;
		break;
	case LSR:
		val = lsr(u);
		break;
	case MSR:
		val = msr(u);
		break;
	case SCR:
		val = u->scr;
		break;
	}
	irq_update(u);
	pthread_mutex_unlock(&u->lock);
	return val;
}

static void ier_write(struct uart *u, uint8_t val)
{
	/* Enabling the THRE interrupt with an empty transmitter raises it. */
	if (!(u->ier & IER_THRE) && (val & IER_THRE) && thr_empty(u))
		u->thre_pending = true;
	u->ier = val & IER_WRITABLE;
}

static void mcr_write(struct uart *u, uint8_t val)
{
	bool rts = !(u->mcr & MCR_RTS) && (val & MCR_RTS);

	u->mcr = val & MCR_WRITABLE;
	if (rts)
		u->host.wake(u->host.opaque);
}

static void uart_write(void *opaque, uint64_t off, unsigned int len,
		       uint64_t val)
{
	struct uart *u = opaque;
	uint8_t byte = (uint8_t)val;
	bool dlab;

	pthread_mutex_lock(&u->lock);
	dlab = u->lcr & LCR_DLAB;
	switch (off) {
	case RBR_THR:
		if (dlab)
			u->dll = byte;
		else
			thr_write(u, byte);
		break;
	case IER:
		if (dlab)
			u->dlm = byte;
		else
			ier_write(u, byte);
		break;
	case IIR_FCR:
		fcr_write(u, byte);
		break;
	case LCR:
		u->lcr = byte;
		break;
	case MCR:
		mcr_write(u, byte);
		break;
	case SCR:
		u->scr = byte;
		break;
	default:		/* LSR and MSR: writes do nothing */
		break;
	}
	irq_update(u);
	pthread_mutex_unlock(&u->lock);
}

static const struct bus_dev_ops uart_ops = {
	.read = uart_read,
	.write = uart_write,
};

void uart_init(struct uart *uart, const char *name,
	       const struct uart_host *host)
{
	memset(uart, 0, sizeof(*uart));
	bus_dev_init(&uart->dev, name, &uart_ops, uart, 1);
	uart->host = *host;
	uart->lossy = true;
	pthread_mutex_init(&uart->lock, NULL);
	uart_reset(uart);
}

void uart_fini(struct uart *uart)
{
	pthread_mutex_destroy(&uart->lock);
}

void uart_reset(struct uart *uart)
{
	pthread_mutex_lock(&uart->lock);
	uart->ier = uart->fcr = uart->lcr = uart->mcr = 0;
	uart->scr = uart->dll = uart->dlm = 0;
	uart->overrun = uart->thre_pending = false;
	uart->rx.head = uart->rx.tail;
	irq_update(uart);
	pthread_mutex_unlock(&uart->lock);
}

void uart_set_lossy(struct uart *uart, bool lossy)
{
	pthread_mutex_lock(&uart->lock);
	if (lossy != uart->lossy && !lossy)
		uart->tx.head = uart->tx.tail;	/* said to nobody */
	uart->lossy = lossy;
	pthread_mutex_unlock(&uart->lock);
}

unsigned int uart_rx_room(struct uart *uart)
{
	unsigned int room = 0;

	pthread_mutex_lock(&uart->lock);
	if ((uart->mcr & MCR_RTS) && !(uart->mcr & MCR_LOOP))
		room = buf_room(&uart->rx);
	pthread_mutex_unlock(&uart->lock);
	return room;
}

void uart_rx(struct uart *uart, const uint8_t *data, unsigned int len)
{
	pthread_mutex_lock(&uart->lock);
	for (unsigned int i = 0; i < len; i++) {
		if (!buf_room(&uart->rx)) {
			uart->overrun = true;
			break;
		}
		buf_put(&uart->rx, data[i]);
	}
	irq_update(uart);
	pthread_mutex_unlock(&uart->lock);
}

unsigned int uart_tx_peek(struct uart *uart, uint8_t *data, unsigned int max)
{
	unsigned int n;

	pthread_mutex_lock(&uart->lock);
	n = min_of(max, buf_len(&uart->tx));
	for (unsigned int i = 0; i < n; i++)
		data[i] = uart->tx.data[(uart->tx.head + i) % UART_BUF_LEN];
	pthread_mutex_unlock(&uart->lock);
	return n;
}

void uart_tx_done(struct uart *uart, unsigned int len)
{
	pthread_mutex_lock(&uart->lock);
	uart->tx.head += min_of(len, buf_len(&uart->tx));
	if (thr_empty(uart))
		uart->thre_pending = true;
	irq_update(uart);
	pthread_mutex_unlock(&uart->lock);
}
