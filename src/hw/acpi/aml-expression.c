/* SPDX-License-Identifier: MIT */
/* AML builder: statements and expressions. */
#include "tessera/hw/acpi/aml.h"

#include "acpi-internal.h"

static Aml *new_expression(unsigned opcode)
{
    return aml_new(AML_FORM_PLAIN, opcode, AML_IS_EXPRESSION, 0);
}

static Aml *new_statement(unsigned opcode)
{
    return aml_new(AML_FORM_PLAIN, opcode, AML_AS_STATEMENT, 0);
}

/* opcode argument argument */
static Aml *two_arguments(unsigned opcode, Aml *a, Aml *b)
{
    Aml *term = new_expression(opcode);

    aml_emit(term->body, a, AML_AS_ARGUMENT);
    aml_emit(term->body, b, AML_AS_ARGUMENT);
    return term;
}

/* opcode argument target */
static Aml *convert(unsigned opcode, Aml *a, Aml *target)
{
    Aml *term = new_expression(opcode);

    aml_emit(term->body, a, AML_AS_ARGUMENT);
    aml_emit_target(term->body, target);
    return term;
}

/* opcode argument argument target */
static Aml *binary(unsigned opcode, Aml *a, Aml *b, Aml *target)
{
    Aml *term = two_arguments(opcode, a, b);

    aml_emit_target(term->body, target);
    return term;
}

/* opcode super-name */
static Aml *on_object(unsigned opcode, Aml *object)
{
    Aml *term = new_expression(opcode);

    aml_emit(term->body, object, AML_AS_TARGET);
    return term;
}

/* statement with one argument */
static Aml *statement_of(unsigned opcode, Aml *a)
{
    Aml *term = new_statement(opcode);

    aml_emit(term->body, a, AML_AS_ARGUMENT);
    return term;
}

Aml *aml_arg(unsigned n)
{
    g_assert(n <= 6);
    return aml_new(AML_FORM_PLAIN, 0x68 + n, AML_AS_ARGUMENT | AML_AS_TARGET, 0);
}

Aml *aml_local(unsigned n)
{
    g_assert(n <= 7);
    return aml_new(AML_FORM_PLAIN, 0x60 + n, AML_AS_ARGUMENT | AML_AS_TARGET, 0);
}

Aml *aml_debug(void)
{
    return aml_new(AML_FORM_PLAIN, 0x5b31, AML_AS_TARGET, 0);
}

Aml *aml_call_all(const char *path, Aml *const *args, size_t n)
{
    Aml *term = new_expression(0);

    g_assert(n <= 7);
    aml_emit_path(term->body, path);
    for (size_t i = 0; i < n; i++)
        aml_emit(term->body, args[i], AML_AS_ARGUMENT);
    return term;
}

static Aml *conditional(unsigned opcode, Aml *condition)
{
    Aml *term = aml_new(AML_FORM_BLOCK, opcode, AML_AS_STATEMENT, AML_AS_STATEMENT);

    aml_emit(term->body, condition, AML_AS_ARGUMENT);
    return term;
}

Aml *aml_if(Aml *condition)
{
    return conditional(AML_OP_IF, condition);
}

Aml *aml_else(void)
{
    return aml_new(AML_FORM_BLOCK, AML_OP_ELSE, AML_AS_STATEMENT, AML_AS_STATEMENT);
}

Aml *aml_while(Aml *condition)
{
    return conditional(0xa2, condition);
}

Aml *aml_break(void)
{
    return new_statement(0xa5);
}

Aml *aml_continue(void)
{
    return new_statement(0x9f);
}

Aml *aml_return(Aml *value)
{
    return statement_of(0xa4, value);
}

Aml *aml_noop(void)
{
    return new_statement(0xa3);
}

Aml *aml_notify(Aml *object, Aml *value)
{
    Aml *term = new_statement(0x86);

    aml_emit(term->body, object, AML_AS_TARGET);
    aml_emit(term->body, value, AML_AS_ARGUMENT);
    return term;
}

Aml *aml_release(Aml *mutex)
{
    Aml *term = new_statement(0x5b27);

    aml_emit(term->body, mutex, AML_AS_TARGET);
    return term;
}

Aml *aml_sleep(Aml *milliseconds)
{
    return statement_of(0x5b22, milliseconds);
}

Aml *aml_stall(Aml *microseconds)
{
    return statement_of(0x5b21, microseconds);
}

Aml *aml_acquire(Aml *mutex, uint16_t timeout_ms)
{
    Aml *term = on_object(0x5b23, mutex);

    acpi_put(term->body, timeout_ms, 2);
    return term;
}

Aml *aml_store(Aml *value, Aml *target)
{
    Aml *term = new_expression(0x70);

    aml_emit(term->body, value, AML_AS_ARGUMENT);
    aml_emit(term->body, target, AML_AS_TARGET);
    return term;
}

Aml *aml_copy_object(Aml *value, Aml *target)
{
    Aml *term = new_expression(0x9d);

    aml_emit(term->body, value, AML_AS_ARGUMENT);
    aml_emit(term->body, target, AML_AS_TARGET);
    return term;
}

Aml *aml_increment(Aml *target)
{
    return on_object(0x75, target);
}

Aml *aml_decrement(Aml *target)
{
    return on_object(0x76, target);
}

Aml *aml_add(Aml *a, Aml *b, Aml *target)
{
    return binary(0x72, a, b, target);
}

Aml *aml_subtract(Aml *a, Aml *b, Aml *target)
{
    return binary(0x74, a, b, target);
}

Aml *aml_multiply(Aml *a, Aml *b, Aml *target)
{
    return binary(0x77, a, b, target);
}

Aml *aml_divide(Aml *dividend, Aml *divisor, Aml *remainder, Aml *quotient)
{
    Aml *term = binary(0x78, dividend, divisor, remainder);

    aml_emit_target(term->body, quotient);
    return term;
}

Aml *aml_mod(Aml *dividend, Aml *divisor, Aml *target)
{
    return binary(0x85, dividend, divisor, target);
}

Aml *aml_and(Aml *a, Aml *b, Aml *target)
{
    return binary(0x7b, a, b, target);
}

Aml *aml_nand(Aml *a, Aml *b, Aml *target)
{
    return binary(0x7c, a, b, target);
}

Aml *aml_or(Aml *a, Aml *b, Aml *target)
{
    return binary(0x7d, a, b, target);
}

Aml *aml_nor(Aml *a, Aml *b, Aml *target)
{
    return binary(0x7e, a, b, target);
}

Aml *aml_xor(Aml *a, Aml *b, Aml *target)
{
    return binary(0x7f, a, b, target);
}

Aml *aml_not(Aml *a, Aml *target)
{
    return convert(0x80, a, target);
}

Aml *aml_shift_left(Aml *a, Aml *count, Aml *target)
{
    return binary(0x79, a, count, target);
}

Aml *aml_shift_right(Aml *a, Aml *count, Aml *target)
{
    return binary(0x7a, a, count, target);
}

Aml *aml_find_set_left_bit(Aml *a, Aml *target)
{
    return convert(0x81, a, target);
}

Aml *aml_find_set_right_bit(Aml *a, Aml *target)
{
    return convert(0x82, a, target);
}

Aml *aml_land(Aml *a, Aml *b)
{
    return two_arguments(0x90, a, b);
}

Aml *aml_lor(Aml *a, Aml *b)
{
    return two_arguments(0x91, a, b);
}

Aml *aml_lnot(Aml *a)
{
    Aml *term = new_expression(0x92);

    aml_emit(term->body, a, AML_AS_ARGUMENT);
    return term;
}

Aml *aml_equal(Aml *a, Aml *b)
{
    return two_arguments(0x93, a, b);
}

/* The three comparisons without an opcode of their own are LNot of their opposite (20.2.5.4). */
Aml *aml_not_equal(Aml *a, Aml *b)
{
    return aml_lnot(aml_equal(a, b));
}

Aml *aml_less(Aml *a, Aml *b)
{
    return two_arguments(0x95, a, b);
}

Aml *aml_less_equal(Aml *a, Aml *b)
{
    return aml_lnot(aml_greater(a, b));
}

Aml *aml_greater(Aml *a, Aml *b)
{
    return two_arguments(0x94, a, b);
}

Aml *aml_greater_equal(Aml *a, Aml *b)
{
    return aml_lnot(aml_less(a, b));
}

Aml *aml_size_of(Aml *object)
{
    return on_object(0x87, object);
}

Aml *aml_object_type(Aml *object)
{
    return on_object(0x8e, object);
}

Aml *aml_index(Aml *object, Aml *index, Aml *target)
{
    Aml *term = binary(0x88, object, index, target);

    term->is = AML_IS_REFERENCE;
    return term;
}

Aml *aml_ref_of(Aml *object)
{
    Aml *term = on_object(0x71, object);

    term->is = AML_IS_REFERENCE;
    return term;
}

Aml *aml_deref_of(Aml *reference)
{
    Aml *term = new_expression(0x83);

    aml_emit(term->body, reference, AML_AS_ARGUMENT);
    term->is = AML_IS_REFERENCE;
    return term;
}

Aml *aml_cond_ref_of(Aml *object, Aml *target)
{
    Aml *term = on_object(0x5b12, object);

    aml_emit_target(term->body, target);
    return term;
}

Aml *aml_concatenate(Aml *a, Aml *b, Aml *target)
{
    return binary(0x73, a, b, target);
}

Aml *aml_concatenate_template(Aml *a, Aml *b, Aml *target)
{
    return binary(0x84, a, b, target);
}

Aml *aml_mid(Aml *object, Aml *index, Aml *length, Aml *target)
{
    Aml *term = two_arguments(0x9e, object, index);

    aml_emit(term->body, length, AML_AS_ARGUMENT);
    aml_emit_target(term->body, target);
    return term;
}

Aml *aml_to_buffer(Aml *a, Aml *target)
{
    return convert(0x96, a, target);
}

Aml *aml_to_integer(Aml *a, Aml *target)
{
    return convert(0x99, a, target);
}

Aml *aml_to_hex_string(Aml *a, Aml *target)
{
    return convert(0x98, a, target);
}

Aml *aml_to_decimal_string(Aml *a, Aml *target)
{
    return convert(0x97, a, target);
}
