/* SPDX-License-Identifier: MIT */
/* Objects that users make: classes, properties, help, in-use flag, store. */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tessera/util/error.h"
#include "tessera/util/object-store.h"
#include "tessera/util/size.h"

static int alive, completed, removed;

typedef struct Kettle {
    UserObject parent;
    bool whistle;
    uint64_t volume;
    uint64_t cups;
    char *colour;
    unsigned heat;
    const ObjectContext *context;
} Kettle;

static const char *const heats[] = { "gas", "electric", "induction", NULL };

static const Property first_table[] = {
    PROPERTY_DEFINE_SIZE(Kettle, volume, "volume", NULL, "what it holds"),
    PROPERTY_DEFINE_BOOL(Kettle, whistle, "whistle", "on", "makes itself heard"),
    { 0 },
};

static const Property second_table[] = {
    { .name = "cups",
      .type = PROPERTY_UINT,
      .offset = offsetof(Kettle, cups),
      .default_text = "4",
      .min = 1,
      .max = 12,
      .help = "how many drink" },
    { .name = "colour",
      .type = PROPERTY_STRING,
      .offset = offsetof(Kettle, colour),
      .required = true,
      .help = "what it looks like" },
    { .name = "heat",
      .type = PROPERTY_ENUM,
      .offset = offsetof(Kettle, heat),
      .values = heats,
      .default_text = "electric",
      .help = "what warms it" },
    { 0 },
};

static bool kettle_complete(UserObject *obj, const ObjectContext *context, GError **error)
{
    Kettle *kettle = (Kettle *)obj;

    alive++;
    if (kettle->volume == 13) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT, "unlucky");
        return false;
    }
    completed++;
    kettle->context = context;
    return true;
}

static void kettle_removed(UserObject *obj)
{
    removed++;
}

static void kettle_finalize(UserObject *obj)
{
    Kettle *kettle = (Kettle *)obj;

    /* Called also when nothing was completed. */
    alive -= kettle->context != NULL || kettle->volume == 13;
}

static const Property *const kettle_tables[] = { first_table, second_table, NULL };
static const Property *const no_tables[] = { NULL };

static const ObjectClass kettle_class = {
    .name = "kettle",
    .family = "appliance",
    .help = "boils water",
    .instance_size = sizeof(Kettle),
    .properties = kettle_tables,
    .complete = kettle_complete,
    .removed = kettle_removed,
    .finalize = kettle_finalize,
};
static const ObjectClass brick_class = {
    .name = "brick",
    .family = "material",
    .help = "lies there",
    .instance_size = sizeof(UserObject),
    .properties = no_tables,
};
TESSERA_REGISTER(object_class, kettle_class);
TESSERA_REGISTER(object_class, brick_class);

static const ObjectContext context;

static int set_up(void **state)
{
    alive = completed = removed = 0;
    *state = object_store_new(&context);
    return 0;
}

static int tear_down(void **state)
{
    object_store_free(*state);
    return alive;
}

static Kettle *add(void **state, const char *text)
{
    g_autoptr(GError) error = NULL;
    UserObject *obj = object_store_add_option(*state, text, &error);

    if (!obj) {
        fail_msg("%s: %s", text, error->message);
    }
    return (Kettle *)obj;
}

static void expect_refused(void **state, const char *text, int code, const char *message)
{
    g_autoptr(GError) error = NULL;

    if (object_store_add_option(*state, text, &error)) {
        fail_msg("'%s' was accepted", text);
    }
    if (!g_str_has_prefix(error->message, message)) {
        fail_msg("'%s' gave '%s', not '%s...'", text, error->message, message);
    }
    assert_true(g_error_matches(error, TESSERA_ERROR, code));
    assert_null(object_store_find(*state, "bad"));
}

static void test_user_object_defaults(void **state)
{
    Kettle *kettle = add(state, "kettle,id=k,colour=red");

    assert_true(kettle->whistle);
    assert_int_equal(kettle->volume, 0);
    assert_int_equal(kettle->cups, 4);
    assert_string_equal(kettle->colour, "red");
    assert_string_equal(heats[kettle->heat], "electric");
    assert_string_equal(kettle->parent.id, "k");
    assert_true(user_object_property_given(&kettle->parent, "colour"));
    assert_false(user_object_property_given(&kettle->parent, "cups"));
    assert_false(user_object_property_given(&kettle->parent, "nothing"));
}

static void test_user_object_all_given(void **state)
{
    static const char *const properties[] = { "volume", "whistle", "cups", "colour", "heat" };
    static const char *const values[] = { "1536K", "off", "12", "red, green", "induction" };
    Kettle *kettle = add(state, "qom-type=kettle,whistle=off,volume=1.5M,cups=0xc,"
                                "colour=blue,colour=red,, green,heat=induction,id=k");

    assert_int_equal(kettle->volume, 1536 * KIB);
    for (size_t i = 0; i < G_N_ELEMENTS(properties); i++) {
        g_autofree char *value = user_object_property_get(&kettle->parent, properties[i]);

        assert_string_equal(value, values[i]);
        assert_true(user_object_property_given(&kettle->parent, properties[i]));
    }
    assert_null(user_object_property_get(&kettle->parent, "steam"));
}

static void test_object_store_add_refuses(void **state)
{
    add(state, "brick,id=taken");
    expect_refused(state, "", TESSERA_ERROR_INVALID, "-object: the type is missing");
    expect_refused(state, "id=bad", TESSERA_ERROR_INVALID, "-object: the type is missing");
    expect_refused(state, "kettel,id=bad", TESSERA_ERROR_NOT_FOUND,
                   "-object: there is no type 'kettel' (did you mean 'kettle'?)");
    expect_refused(state, "kettle,colour=red", TESSERA_ERROR_INVALID,
                   "-object kettle: id=NAME is missing");
    expect_refused(state, "kettle,id=taken,colour=red", TESSERA_ERROR_EXISTS,
                   "-object kettle: there is an object with the id 'taken' already");
    expect_refused(state, "kettle,id=1bad,colour=red", TESSERA_ERROR_INVALID,
                   "kettle: id=1bad: '1bad' is not an id");
    expect_refused(state, "kettle,id=,colour=red", TESSERA_ERROR_INVALID, "kettle: id=: ''");
    expect_refused(state, "kettle,id=a/b,colour=red", TESSERA_ERROR_INVALID, "kettle: id=a/b: ");
    expect_refused(state, "kettle,id=bad,color=red", TESSERA_ERROR_NOT_FOUND,
                   "kettle 'bad': there is no property 'color' (did you mean 'colour'?); "
                   "'-object kettle,help' lists them");
    expect_refused(state, "kettle,id=bad", TESSERA_ERROR_INVALID,
                   "kettle 'bad': colour=string is missing: what it looks like");
    expect_refused(state, "kettle,id=bad,colour=red,whistle=loud", TESSERA_ERROR_INVALID,
                   "kettle 'bad': whistle=loud: 'loud' is neither 'on' nor 'off'");
    expect_refused(state, "kettle,id=bad,colour=red,cups=13", TESSERA_ERROR_INVALID,
                   "kettle 'bad': cups=13: '13' is out of range: allowed are 1 to 12");
    expect_refused(state, "kettle,id=bad,colour=red,volume=-1", TESSERA_ERROR_INVALID,
                   "kettle 'bad': volume=-1: '-1' is not a size: it is negative");
    expect_refused(state, "kettle,id=bad,colour=red,heat=sun", TESSERA_ERROR_INVALID,
                   "kettle 'bad': heat=sun: unknown value 'sun' (there are: gas, electric");
    expect_refused(state, "kettle,id=bad,,", TESSERA_ERROR_INVALID, "kettle: id=bad,: ");
    expect_refused(state, "kettle,id=bad,=3", TESSERA_ERROR_INVALID, "-object: ''");
    assert_int_equal(completed, 0);
    expect_refused(state, "kettle,id=bad,colour=red,volume=13", TESSERA_ERROR_LIMIT,
                   "kettle 'bad': unlucky");
    assert_int_equal(alive, 0);
}

static void collect(UserObject *obj, void *opaque)
{
    g_string_append_printf(opaque, "%s ", obj->id);
}

static void test_object_store_find_get_del(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) ids = g_string_new(NULL);
    UserObject *zinc = (UserObject *)add(state, "kettle,id=zinc,colour=grey");
    UserObject *brick = (UserObject *)add(state, "brick,id=brick0");

    add(state, "kettle,id=iron,colour=black");
    object_store_for_each(*state, collect, ids);
    assert_string_equal(ids->str, "zinc brick0 iron ");
    assert_ptr_equal(object_store_find(*state, "zinc"), zinc);
    assert_null(object_store_find(*state, "zin"));
    assert_ptr_equal(object_store_get(*state, "brick0", "material", &error), brick);
    assert_null(object_store_get(*state, "brick0", "appliance", &error));
    assert_string_equal(error->message,
                        "object 'brick0' is of type brick; needed is one of the kind appliance");
    g_clear_error(&error);
    assert_null(object_store_get(*state, "zimc", "appliance", &error));
    assert_string_equal(error->message,
                        "there is no appliance with the id 'zimc' (did you mean 'zinc'?)");
    g_clear_error(&error);
    assert_false(object_store_del(*state, "iorn", &error));
    assert_non_null(strstr(error->message, "'iron'"));
    assert_true(object_store_del(*state, "iron", NULL));
    assert_int_equal(alive, 1);
    assert_int_equal(removed, 1);
    assert_null(object_store_find(*state, "iron"));
    add(state, "kettle,id=iron,colour=black");
}

static void test_user_object_claim(void **state)
{
    g_autoptr(GError) error = NULL;
    UserObject *obj = (UserObject *)add(state, "kettle,id=k,colour=red");
    g_autofree char *user = NULL;

    assert_null(user_object_user(obj));
    assert_true(user_object_claim(obj, "device 'dimm0'", &error));
    user = user_object_user(obj);
    assert_string_equal(user, "device 'dimm0'");
    assert_false(user_object_claim(obj, "device 'dimm1'", &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_EXISTS));
    assert_string_equal(error->message, "kettle 'k' is in use already, by device 'dimm0': one user "
                                        "each; make another object");
    g_clear_error(&error);
    assert_false(object_store_del(*state, "k", &error));
    assert_string_equal(error->message,
                        "object 'k' is in use by device 'dimm0': remove that first");
    assert_ptr_equal(object_store_find(*state, "k"), obj);
    user_object_release(obj);
    assert_null(user_object_user(obj));
    assert_true(user_object_claim(obj, "device 'dimm1'", NULL));
    user_object_release(obj);
    assert_true(object_store_del(*state, "k", NULL));
    assert_int_equal(alive, 0);
}

static void test_user_object_claim_outlives_store(void **state)
{
    ObjectStore *store = object_store_new(&context);
    UserObject *obj = object_store_add_option(store, "kettle,id=k,colour=red", NULL);

    assert_true(user_object_claim(obj, "somebody", NULL));
    object_store_free(store);
    assert_int_equal(removed, 1);
    assert_int_equal(alive, 1);
    assert_string_equal(((Kettle *)obj)->colour, "red");
    user_object_release(obj);
    assert_int_equal(alive, 0);
}

static void test_object_option_help(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *all = object_option_help("help", &error);
    g_autofree char *one = object_option_help("kettle,help", &error);
    g_autofree char *question = object_option_help("kettle,id=k,?", &error);

    assert_non_null(strstr(all, "kettle"));
    assert_true(strstr(all, "brick") < strstr(all, "kettle")); /* sorted */
    assert_string_equal(one, "kettle: boils water\n"
                             "Properties:\n"
                             "  volume=size                what it holds\n"
                             "  whistle=on|off             makes itself heard (default: on)\n"
                             "  cups=number                how many drink (default: 4)\n"
                             "  colour=string              what it looks like (required)\n"
                             "  heat=gas|electric|induction what warms it (default: electric)\n");
    assert_string_equal(one, question);
    assert_null(object_option_help("kettle,id=k", &error));
    assert_null(object_option_help("", &error));
    assert_null(error);
    assert_null(object_option_help("ketle,help", &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND));
}

static void test_object_class_property_introspection(void **state)
{
    const ObjectClass *cls = object_class_find("kettle", NULL);

    assert_ptr_equal(cls, &kettle_class);
    assert_string_equal(object_class_property(cls, 0)->name, "volume");
    assert_string_equal(object_class_property(cls, 4)->name, "heat");
    assert_null(object_class_property(cls, 5));
    assert_null(object_class_property(&brick_class, 0));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_user_object_defaults),     T(test_user_object_all_given),
        T(test_object_store_add_refuses), T(test_object_store_find_get_del),
        T(test_user_object_claim),        T(test_user_object_claim_outlives_store),
        T(test_object_option_help),       T(test_object_class_property_introspection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
