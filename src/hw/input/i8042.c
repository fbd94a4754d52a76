/* SPDX-License-Identifier: MIT */
/* i8042: the keyboard controller, with a PS/2 keyboard and a PS/2 mouse. */
#include "tessera/hw/input/i8042.h"

#include <pthread.h>
#include "ps2-internal.h"

#define RAM_SIZE     32
#define SELF_TEST_OK 0x55
#define INPUT_PORT   0x80 /* the keyboard is not locked */

typedef enum Source {
    FROM_NOBODY,
    FROM_KEYBOARD,
    FROM_AUX,
} Source;

/* A byte of the controller's own, and as whose it is shown. */
typedef struct Reply {
    uint8_t byte;
    Source source;
} Reply;

#define REPLIES_MAX 4

/*
 * @lock: guards all that follows it; irq_set() is called under it
 * @ram: the controller's; byte 0 is the command byte (CTR)
 * @out, @out_source: the output buffer; it is full unless that is FROM_NOBODY
 * @replies: answers of the controller that wait for the buffer
 */
typedef struct I8042 {
    Device dev;
    IrqLine keyboard_irq;
    IrqLine mouse_irq;
    pthread_mutex_t lock;
    uint8_t ram[RAM_SIZE];
    uint8_t out;
    Source out_source;
    Reply replies[REPLIES_MAX];
    unsigned reply_count;
    uint8_t out_port;     /* A20 and the bits that mean nothing here */
    uint8_t parameter_of; /* the command whose parameter comes next; 0: data is the keyboard's */
    bool last_was_command;
    bool shift_break; /* translation: 0xf0 came, the next code is a release */
    Ps2Keyboard keyboard;
    Ps2Mouse mouse;
} I8042;

/*
 * Scan code set 2 to set 1, as the controller's ROM has it (IBM PS/2 Hardware Interface Technical
 * Reference, "Keyboard scan codes"). What is not in it stays as it is.
 */
static const uint8_t set1[0x80] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

/* Everything below with the lock held, up to the handlers. */

static uint8_t translate(uint8_t code)
{
    if (code < sizeof(set1)) {
        return set1[code];
    }
    return code == 0x83 ? 0x41 : code == 0x84 ? 0x54 : code; /* F7 and SysRq lie outside */
}

/* The keyboard's next byte as the guest sees it; false: nothing yet. */
static bool take_key(I8042 *c, uint8_t *ret_byte)
{
    while (c->keyboard.queue.used) {
        uint8_t code = ps2_queue_pop(&c->keyboard.queue);

        if (!(c->ram[0] & I8042_CTR_XLATE)) {
            *ret_byte = code;
            return true;
        }
        if (code == 0xf0) {
            c->shift_break = true;
            continue;
        }
        *ret_byte = translate(code) | (c->shift_break ? 0x80 : 0);
        c->shift_break = false;
        return true;
    }
    return false;
}

static void update_irqs(I8042 *c)
{
    irq_set(c->keyboard_irq,
            c->out_source == FROM_KEYBOARD && (c->ram[0] & I8042_CTR_KBD_INT));
    irq_set(c->mouse_irq, c->out_source == FROM_AUX && (c->ram[0] & I8042_CTR_AUX_INT));
}

/* Fills the output buffer if it is empty: the controller first, then keyboard, then mouse. */
static void fill_output(I8042 *c)
{
    if (c->out_source != FROM_NOBODY) {
        return;
    }
    if (c->reply_count) {
        c->out = c->replies[0].byte;
        c->out_source = c->replies[0].source;
        c->reply_count--;
        for (unsigned i = 0; i < c->reply_count; i++) {
            c->replies[i] = c->replies[i + 1];
        }
    } else if (!(c->ram[0] & I8042_CTR_KBD_OFF) && take_key(c, &c->out)) {
        c->out_source = FROM_KEYBOARD;
    } else if (!(c->ram[0] & I8042_CTR_AUX_OFF) && c->mouse.queue.used) {
        c->out = ps2_queue_pop(&c->mouse.queue);
        c->out_source = FROM_AUX;
        /* There is room for motion that had to wait. */
        ps2_mouse_move(&c->mouse, 0, 0, 0, c->mouse.buttons);
    }
}

static void reply_as(I8042 *c, uint8_t byte, Source source)
{
    if (c->reply_count < REPLIES_MAX) {
        c->replies[c->reply_count++] = (Reply){ byte, source };
    }
}

static void reply(I8042 *c, uint8_t byte)
{
    reply_as(c, byte, FROM_KEYBOARD);
}

static uint8_t output_port(const I8042 *c)
{
    return c->out_port | I8042_OUT_RESET | (c->out_source == FROM_KEYBOARD ? I8042_OUT_KBD : 0) |
           (c->out_source == FROM_AUX ? I8042_OUT_AUX : 0);
}

static void self_test(I8042 *c)
{
    c->ram[0] |= I8042_CTR_SYSTEM;
    c->out_source = FROM_NOBODY;
    c->reply_count = 0;
    reply(c, SELF_TEST_OK);
}

/* Returns: the machine is to be reset. */
static bool take_command(I8042 *c, uint8_t command)
{
    c->parameter_of = 0;
    switch (command) {
    case I8042_CMD_READ_RAM ... I8042_CMD_READ_RAM + RAM_SIZE - 1:
        reply(c, c->ram[command & (RAM_SIZE - 1)]);
        break;
    case I8042_CMD_WRITE_RAM ... I8042_CMD_WRITE_RAM + RAM_SIZE - 1:
    case I8042_CMD_WRITE_OUT:
    case I8042_CMD_KBD_LOOP:
    case I8042_CMD_AUX_LOOP:
    case I8042_CMD_AUX_SEND:
        c->parameter_of = command;
        break;
    case I8042_CMD_AUX_OFF:
        c->ram[0] |= I8042_CTR_AUX_OFF;
        break;
    case I8042_CMD_AUX_ON:
        c->ram[0] &= ~I8042_CTR_AUX_OFF;
        break;
    case I8042_CMD_AUX_TEST:
    case I8042_CMD_KBD_TEST:
        reply(c, 0x00); /* the wires are in order */
        break;
    case I8042_CMD_SELF_TEST:
        self_test(c);
        break;
    case I8042_CMD_KBD_OFF:
        c->ram[0] |= I8042_CTR_KBD_OFF;
        break;
    case I8042_CMD_KBD_ON:
        c->ram[0] &= ~I8042_CTR_KBD_OFF;
        break;
    case I8042_CMD_READ_IN:
        reply(c, INPUT_PORT);
        break;
    case I8042_CMD_READ_OUT:
        reply(c, output_port(c));
        break;
    case I8042_CMD_A20_OFF:
        c->out_port &= ~I8042_OUT_A20;
        break;
    case I8042_CMD_A20_ON:
        c->out_port |= I8042_OUT_A20;
        break;
    case I8042_CMD_PULSE ... 0xff:
        return !(command & I8042_OUT_RESET);
    default: /* unknown: ignored, as by the chip */
        break;
    }
    return false;
}

static bool take_parameter(I8042 *c, uint8_t value)
{
    uint8_t command = c->parameter_of;

    c->parameter_of = 0;
    switch (command) {
    case 0: /* for the keyboard, whose port that opens */
        c->ram[0] &= ~I8042_CTR_KBD_OFF;
        c->shift_break = false;
        ps2_keyboard_write(&c->keyboard, value);
        break;
    case I8042_CMD_WRITE_OUT:
        c->out_port = value & ~(I8042_OUT_RESET | I8042_OUT_KBD | I8042_OUT_AUX);
        return !(value & I8042_OUT_RESET);
    case I8042_CMD_KBD_LOOP:
        reply_as(c, value, FROM_KEYBOARD);
        break;
    case I8042_CMD_AUX_LOOP:
        reply_as(c, value, FROM_AUX);
        break;
    case I8042_CMD_AUX_SEND:
        ps2_mouse_write(&c->mouse, value);
        break;
    default: /* I8042_CMD_WRITE_RAM .. */
        c->ram[command & (RAM_SIZE - 1)] = value;
        break;
    }
    return false;
}

static uint8_t read_status(const I8042 *c)
{
    return (c->out_source != FROM_NOBODY ? I8042_STATUS_OBF : 0) |
           (c->out_source == FROM_AUX ? I8042_STATUS_AUX : 0) | (c->ram[0] & I8042_CTR_SYSTEM) |
           (c->last_was_command ? I8042_STATUS_COMMAND : 0) | I8042_STATUS_KEYLOCK;
}

static MemTxResult data_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                             MemTxAttrs attrs)
{
    I8042 *c = opaque;

    pthread_mutex_lock(&c->lock);
    *ret_value = c->out; /* empty: the last byte again */
    if (c->out_source != FROM_NOBODY) {
        c->out_source = FROM_NOBODY;
        update_irqs(c); /* the lines fall, so that the next byte makes an edge */
        fill_output(c);
        update_irqs(c);
    }
    pthread_mutex_unlock(&c->lock);
    return MEMTX_OK;
}

static MemTxResult status_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                               MemTxAttrs attrs)
{
    I8042 *c = opaque;

    pthread_mutex_lock(&c->lock);
    *ret_value = read_status(c);
    pthread_mutex_unlock(&c->lock);
    return MEMTX_OK;
}

static MemTxResult take_byte(I8042 *c, uint8_t value, bool is_command)
{
    bool reset;

    pthread_mutex_lock(&c->lock);
    c->last_was_command = is_command;
    reset = is_command ? take_command(c, value) : take_parameter(c, value);
    fill_output(c);
    update_irqs(c);
    pthread_mutex_unlock(&c->lock);
    if (reset) {
        c->dev.control->request_reset(c->dev.control->opaque, MACHINE_CAUSE_GUEST_RESET);
    }
    return MEMTX_OK;
}

static MemTxResult data_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                              MemTxAttrs attrs)
{
    return take_byte(opaque, (uint8_t)value, false);
}

static MemTxResult command_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                 MemTxAttrs attrs)
{
    return take_byte(opaque, (uint8_t)value, true);
}

static const MemoryRegionOps data_ops = {
    .read = data_read,
    .write = data_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 1 },
    .impl = { .min_access_size = 1, .max_access_size = 1 },
};

static const MemoryRegionOps command_ops = {
    .read = status_read,
    .write = command_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 1 },
    .impl = { .min_access_size = 1, .max_access_size = 1 },
};

static void i8042_reset(Device *dev)
{
    I8042 *c = (I8042 *)dev;

    pthread_mutex_lock(&c->lock);
    for (unsigned i = 0; i < RAM_SIZE; i++) {
        c->ram[i] = 0;
    }
    c->ram[0] = I8042_CTR_KBD_INT | I8042_CTR_SYSTEM | I8042_CTR_AUX_OFF | I8042_CTR_XLATE;
    c->out = 0;
    c->out_source = FROM_NOBODY;
    c->reply_count = 0;
    c->out_port = I8042_OUT_A20 | 0xcc;
    c->parameter_of = 0;
    c->last_was_command = c->shift_break = false;
    ps2_keyboard_reset(&c->keyboard);
    ps2_mouse_reset(&c->mouse);
    update_irqs(c);
    pthread_mutex_unlock(&c->lock);
}

static bool i8042_realize(Device *dev, GError **error)
{
    device_add_region(dev,
                      memory_region_new_io(dev->ms, &dev->obj, &data_ops, dev, "i8042-data", 1));
    device_add_region(dev, memory_region_new_io(dev->ms, &dev->obj, &command_ops, dev,
                                                "i8042-command", 1));
    i8042_reset(dev);
    return true;
}

static void i8042_init(Device *dev)
{
    pthread_mutex_init(&((I8042 *)dev)->lock, NULL);
}

static void i8042_finalize(Device *dev)
{
    pthread_mutex_destroy(&((I8042 *)dev)->lock);
}

void i8042_set_irqs(Device *dev, IrqLine keyboard, IrqLine mouse)
{
    I8042 *c = (I8042 *)dev;

    g_assert(dev->cls == &i8042_device_class && !dev->realized);
    c->keyboard_irq = keyboard;
    c->mouse_irq = mouse;
}

bool i8042_send_keys(Device *dev, const uint8_t *codes, size_t len)
{
    I8042 *c = (I8042 *)dev;
    bool sent;

    g_assert(dev->cls == &i8042_device_class);
    pthread_mutex_lock(&c->lock);
    sent = ps2_keyboard_send(&c->keyboard, codes, len);
    fill_output(c);
    update_irqs(c);
    pthread_mutex_unlock(&c->lock);
    return sent;
}

void i8042_move_mouse(Device *dev, int dx, int dy, int dz, uint8_t buttons)
{
    I8042 *c = (I8042 *)dev;

    g_assert(dev->cls == &i8042_device_class);
    pthread_mutex_lock(&c->lock);
    ps2_mouse_move(&c->mouse, dx, dy, dz, buttons);
    fill_output(c);
    update_irqs(c);
    pthread_mutex_unlock(&c->lock);
}

uint8_t i8042_leds(Device *dev)
{
    I8042 *c = (I8042 *)dev;
    uint8_t leds;

    g_assert(dev->cls == &i8042_device_class);
    pthread_mutex_lock(&c->lock);
    leds = c->keyboard.leds;
    pthread_mutex_unlock(&c->lock);
    return leds;
}

const DeviceClass i8042_device_class = {
    .name = "i8042",
    .description = "keyboard controller with PS/2 keyboard and mouse",
    .instance_size = sizeof(I8042),
    .init = i8042_init,
    .realize = i8042_realize,
    .reset = i8042_reset,
    .finalize = i8042_finalize,
};
DEVICE_REGISTER(i8042_device_class);
