/* SPDX-License-Identifier: Apache-2.0
 *
 * The 16550A's registers, as a driver meets them; data sheet PC16550D.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "vmm/uart.h"

enum { THR, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct uart uart;
static bool irq;
static unsigned int n_edges;	/* rising */
static unsigned int n_wakes;

static void set_irq(void *opaque, bool level)
{
	n_edges += level && !irq;
	irq = level;
}

static void wake(void *opaque)
{
	n_wakes++;
}

static uint8_t in(unsigned int reg)
{
	return (uint8_t)uart.dev.ops->read(&uart, reg, 1);
}

static void out(unsigned int reg, uint8_t val)
{
	uart.dev.ops->write(&uart, reg, 1, val);
}

static int setup(void **state)
{
	static const struct uart_host host = { set_irq, wake, NULL };

	irq = false;
	n_edges = n_wakes = 0;
	uart_init(&uart, "com", &host);
	uart_set_lossy(&uart, false);
	return 0;
}

static int teardown(void **state)
{
	uart_fini(&uart);
	return 0;
}

/* FIFO on with trigger level 8, OUT2 and RTS on. */
static void open_port(uint8_t ier)
{
	out(IIR, 0x81);
	out(MCR, 0x0b);
	out(IER, ier);
}

static void receive(const char *text)
{
	uart_rx(&uart, (const uint8_t *)text, (unsigned int)strlen(text));
}

static void test_registers_keep_what_they_can(void **state)
{
	out(SCR, 0x5a);
	assert_int_equal(in(SCR), 0x5a);
	out(IER, 0xff);
	assert_int_equal(in(IER), 0x0f);
	out(MCR, 0xff);
	assert_int_equal(in(MCR), 0x1f);
	assert_int_equal(in(IIR) & 0xc0, 0);
	out(IIR, 0x01);
	assert_int_equal(in(IIR) & 0xc0, 0xc0);
	/* The divisor latch hides data and IER. */
	out(LCR, 0x80);
	out(THR, 0x0c);
	out(IER, 0x00);
	assert_int_equal(in(THR), 0x0c);
	out(LCR, 0x03);
	assert_int_equal(in(IER), 0x0f);
	assert_int_equal(uart_tx_peek(&uart, (uint8_t[1]){ 0 }, 1), 0);
}

static void test_transmit(void **state)
{
	uint8_t data[8];

	assert_int_equal(in(LSR), 0x60);
	out(THR, 'h');
	out(THR, 'i');
	assert_int_equal(n_wakes, 1);
	assert_int_equal(uart_tx_peek(&uart, data, sizeof(data)), 2);
	assert_memory_equal(data, "hi", 2);
	uart_tx_done(&uart, 1);
	assert_int_equal(uart_tx_peek(&uart, data, sizeof(data)), 1);
	assert_int_equal(data[0], 'i');
}

static void test_thre_interrupt(void **state)
{
	open_port(0);
	assert_false(irq);
	out(IER, 0x02);			/* the transmitter is empty: at once */
	assert_true(irq);
	assert_int_equal(in(IIR) & 0x0f, 0x02);	/* reading takes it back */
	assert_false(irq);
	assert_int_equal(in(IIR) & 0x0f, 0x01);
	out(THR, 'x');
	assert_true(irq);
	out(IER, 0);
	assert_false(irq);
}

static void test_flow_control_of_output(void **state)
{
	uint8_t data[UART_BUF_LEN];
	unsigned int n = 0;

	while (in(LSR) & 0x20) {
		out(THR, (uint8_t)n++);
		assert_true(n <= UART_BUF_LEN);
	}
	/* A driver may still fill the FIFO it was promised. */
	assert_true(n > UART_BUF_LEN - UART_FIFO_LEN);
	open_port(0x02);
	assert_false(irq);
	assert_int_equal(uart_tx_peek(&uart, data, sizeof(data)), n);
	uart_tx_done(&uart, n);
	assert_true(irq);
	assert_int_equal(uart.n_tx_lost, 0);
}

static void test_nobody_listens(void **state)
{
	uart_set_lossy(&uart, true);
	for (unsigned int i = 0; i < UART_BUF_LEN + 100; i++) {
		assert_true(in(LSR) & 0x20);
		out(THR, 'x');
	}
	assert_int_equal(uart.n_tx_lost, 100);
	/* Who comes later does not hear what was said before. */
	uart_set_lossy(&uart, false);
	assert_int_equal(uart_tx_peek(&uart, (uint8_t[1]){ 0 }, 1), 0);
}

static void test_receive(void **state)
{
	open_port(0x01);
	receive("a");
	assert_true(irq);
	assert_int_equal(in(IIR) & 0x0f, 0x0c);	/* below the trigger level */
	assert_true(in(LSR) & 0x01);
	receive("bcdefgh");
	assert_int_equal(in(IIR) & 0x0f, 0x04);	/* eight: reached */
	for (char c = 'a'; c <= 'h'; c++)
		assert_int_equal(in(THR), c);
	assert_false(irq);
	assert_int_equal(in(LSR) & 0x01, 0);
	assert_int_equal(in(IIR) & 0x0f, 0x01);
	assert_int_equal(in(THR), 0);
}

static void test_receive_has_priority_over_thre(void **state)
{
	open_port(0x03);
	receive("x");
	assert_int_equal(in(IIR) & 0x0f, 0x0c);
	in(THR);
	assert_int_equal(in(IIR) & 0x0f, 0x02);
}

static void test_rts_holds_input_back(void **state)
{
	assert_int_equal(uart_rx_room(&uart), 0);
	out(MCR, 0x02);
	assert_int_equal(n_wakes, 1);
	assert_int_equal(uart_rx_room(&uart), UART_BUF_LEN);
	receive("x");
	assert_int_equal(uart_rx_room(&uart), UART_BUF_LEN - 1);
}

static void test_overrun(void **state)
{
	open_port(0x05);
	for (unsigned int i = 0; i <= UART_BUF_LEN; i++)
		receive("x");
	assert_int_equal(in(IIR) & 0x0f, 0x06);
	assert_int_equal(in(LSR) & 0x02, 0x02);
	assert_int_equal(in(LSR) & 0x02, 0);	/* reading clears it */
	assert_int_equal(in(IIR) & 0x0f, 0x04);
}

static void test_clearing_the_fifo(void **state)
{
	open_port(0x01);
	receive("0123456789abcdefXY");
	out(IIR, 0x83);			/* clear the receiver's */
	assert_int_equal(in(THR), 'X');	/* what was still on the line */
	assert_int_equal(in(THR), 'Y');
}

static void test_out2_gates_the_interrupt(void **state)
{
	open_port(0x01);
	out(MCR, 0x02);
	receive("x");
	assert_false(irq);
	out(MCR, 0x0a);
	assert_true(irq);
}

static void test_loop_back(void **state)
{
	assert_int_equal(in(MSR), 0xb0);	/* CTS, DSR, DCD */
	out(MCR, 0x1a);
	assert_int_equal(in(MSR) & 0xf0, 0x90);	/* as Linux probes it */
	out(MCR, 0x15);
	assert_int_equal(in(MSR) & 0xf0, 0x60);
	out(THR, 'l');
	assert_int_equal(in(THR), 'l');
	assert_int_equal(uart_tx_peek(&uart, (uint8_t[1]){ 0 }, 1), 0);
	assert_int_equal(uart_rx_room(&uart), 0);
}

static void test_reset(void **state)
{
	open_port(0x0f);
	receive("x");
	assert_true(irq);
	uart_reset(&uart);
	assert_false(irq);
	assert_int_equal(in(IER), 0);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(IIR), 0x01);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_registers_keep_what_they_can),
		T(test_transmit),
		T(test_thre_interrupt),
		T(test_flow_control_of_output),
		T(test_nobody_listens),
		T(test_receive),
		T(test_receive_has_priority_over_thre),
		T(test_rts_holds_input_back),
		T(test_overrun),
		T(test_clearing_the_fifo),
		T(test_out2_gates_the_interrupt),
		T(test_loop_back),
		T(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
