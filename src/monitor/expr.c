/* SPDX-License-Identifier: MIT */
/* Numbers as people write them to a monitor: expressions of numbers and registers. */
#include "monitor-internal.h"

#include <errno.h>
#include <string.h>
#include "tessera/util/error.h"

#define NESTING_MAX 64

/*
 *   expression = factor { operator factor }      from left to right; those of @levels[0] bind least
 *   factor     = number | "$" register | "-" factor | "~" factor | "+" factor | "(" expression ")"
 */
static const char *const levels[] = { "+-&|^", "*/%" };

typedef struct Expression {
    Monitor *mon;
    const char *p;
    unsigned depth;
    GError **error;
} Expression;

static bool parse_level(Expression *e, unsigned level, uint64_t *ret);

static void skip_blanks(Expression *e)
{
    e->p += strspn(e->p, " \t");
}

static bool fail(Expression *e, const char *what)
{
    g_set_error(e->error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "%s at '%s'", what,
                *e->p ? e->p : "the end");
    return false;
}

static bool parse_number(Expression *e, uint64_t *ret)
{
    char *end;

    if (!g_ascii_isdigit(*e->p)) {
        return fail(e, "a number (123, 0x7b, $rip) is expected");
    }
    errno = 0;
    *ret = g_ascii_strtoull(e->p, &end, 0);
    if (errno || g_ascii_isalnum(*end)) {
        return fail(e, "no number of 64 bits");
    }
    e->p = end;
    return true;
}

static bool parse_register(Expression *e, uint64_t *ret)
{
    size_t len = 0;
    g_autofree char *name = NULL;

    while (g_ascii_isalnum(e->p[1 + len]) || e->p[1 + len] == '_') {
        len++;
    }
    name = g_strndup(e->p + 1, len);
    if (!vcpu_set_get_register(machine_vcpus(monitor_machine(e->mon)), monitor_cpu(e->mon), name,
                               ret, e->error)) {
        return false;
    }
    e->p += 1 + len;
    return true;
}

static bool parse_factor(Expression *e, uint64_t *ret)
{
    char sign;

    skip_blanks(e);
    sign = *e->p;
    if (sign == '$') {
        return parse_register(e, ret);
    }
    if (!sign || !strchr("-~+(", sign)) {
        return parse_number(e, ret);
    }
    if (++e->depth > NESTING_MAX) {
        return fail(e, "nested too deeply");
    }
    e->p++;
    if (sign == '(') {
        if (!parse_level(e, 0, ret)) {
            return false;
        }
        if (*e->p != ')') {
            return fail(e, "')' is expected");
        }
        e->p++;
    } else {
        if (!parse_factor(e, ret)) {
            return false;
        }
        *ret = sign == '-' ? -*ret : sign == '~' ? ~*ret : *ret;
    }
    e->depth--;
    return true;
}

static uint64_t apply(char op, uint64_t a, uint64_t b)
{
    switch (op) {
    case '+':
        return a + b;
    case '-':
        return a - b;
    case '&':
        return a & b;
    case '|':
        return a | b;
    case '^':
        return a ^ b;
    case '*':
        return a * b;
    case '/':
        return a / b;
    default:
        return a % b;
    }
}

/* Operands joined by the operators of @level; each is made of those that bind more. */
static bool parse_level(Expression *e, unsigned level, uint64_t *ret)
{
    if (level == G_N_ELEMENTS(levels)) {
        return parse_factor(e, ret);
    }
    if (!parse_level(e, level + 1, ret)) {
        return false;
    }
    for (;;) {
        uint64_t right;
        char op;

        skip_blanks(e);
        op = *e->p;
        if (!op || !strchr(levels[level], op)) {
            return true;
        }
        e->p++;
        if (!parse_level(e, level + 1, &right)) {
            return false;
        }
        if ((op == '/' || op == '%') && right == 0) {
            return fail(e, "division by zero");
        }
        *ret = apply(op, *ret, right);
    }
}

bool monitor_expression(Monitor *mon, const char *text, uint64_t *ret_value, const char **ret_rest,
                        GError **error)
{
    Expression e = { .mon = mon, .p = text, .error = error };
    uint64_t value = 0;

    if (!parse_level(&e, 0, &value)) {
        return false;
    }
    if (ret_rest) {
        *ret_rest = e.p;
    } else if (*e.p) {
        return fail(&e, "an operator is expected");
    }
    *ret_value = value;
    return true;
}
