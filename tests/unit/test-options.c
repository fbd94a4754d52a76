/* SPDX-License-Identifier: MIT */
/* The command line: every option, every refusal, and random ones. */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "tessera/machine/config.h"
#include "tessera/util/error.h"
#include "tessera/util/size.h"
#include "tessera/util/version.h"

static unsigned cpu_helps;
static bool cpu_help_works;

/* In place of cpu-help.c, which asks the host's KVM. */
bool options_print_cpu_help(GError **error)
{
    cpu_helps++;
    if (!cpu_help_works) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED, "no KVM here");
    }
    return cpu_help_works;
}

/* What a call of options_parse() left behind. */
typedef struct Outcome {
    OptionsResult result;
    MachineConfig *config;
    GError *error;
    char *output; /* on standard output */
} Outcome;

static void outcome_done(Outcome *o)
{
    machine_config_free(o->config);
    g_clear_error(&o->error);
    g_free(o->output);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Outcome, outcome_done)

static char *read_all(int fd)
{
    off_t len = lseek(fd, 0, SEEK_END);
    char *text = g_malloc0((gsize)len + 1);

    assert_int_equal(pread(fd, text, (size_t)len, 0), len);
    return text;
}

static Outcome parse_words(char **words)
{
    int file = memfd_create("stdout", 0), saved = dup(STDOUT_FILENO);
    Outcome o = { 0 };

    assert_true(file >= 0 && saved >= 0);
    fflush(stdout);
    assert_true(dup2(file, STDOUT_FILENO) >= 0);
    o.result = options_parse((int)g_strv_length(words), words, &o.config, &o.error);
    fflush(stdout);
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    o.output = read_all(file);
    close(saved);
    close(file);

    /* What holds of every command line. */
    assert_int_equal(o.result == OPTIONS_RUN, o.config != NULL);
    assert_int_equal(o.result == OPTIONS_ERROR, o.error != NULL);
    if (o.result != OPTIONS_DONE) {
        assert_string_equal(o.output, "");
    }
    return o;
}

/* @line: words between blanks; a word of '' is empty, an underscore in one is a blank. */
static Outcome parse(const char *line)
{
    g_autofree char *whole = g_strconcat("tessera ", line, NULL);
    g_auto(GStrv) words = g_strsplit(whole, " ", 0);

    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], "''") == 0) {
            words[i][0] = '\0';
        }
        g_strdelimit(words[i], "_", ' ');
    }
    return parse_words(words);
}

static MachineConfig *expect_run(const char *line)
{
    g_autofree char *whole = g_strconcat("-kernel vmlinuz ", line, NULL);
    g_auto(Outcome) o = parse(line[0] ? whole : "-kernel vmlinuz");

    if (o.result != OPTIONS_RUN) {
        fail_msg("'%s': %s", line, o.error ? o.error->message : "answered");
    }
    return g_steal_pointer(&o.config);
}

/* @...: parts that the message must have, NULL-terminated */
static void G_GNUC_NULL_TERMINATED expect_refused(const char *line, ...)
{
    g_auto(Outcome) o = parse(line);
    va_list parts;

    if (o.result != OPTIONS_ERROR) {
        fail_msg("'%s' accepted", line);
        return;
    }
    va_start(parts, line);
    for (const char *part; (part = va_arg(parts, const char *));) {
        if (!strstr(o.error->message, part)) {
            fail_msg("'%s': the message '%s' lacks '%s'", line, o.error->message, part);
        }
    }
    va_end(parts);
}

static void expect_answer(const char *line, const char *part)
{
    g_auto(Outcome) o = parse(line);

    if (o.result != OPTIONS_DONE || !strstr(o.output, part)) {
        fail_msg("'%s' was answered with '%s' %s", line, o.output, o.error ? o.error->message : "");
    }
}

static void test_options_parse_defaults(void **state)
{
    g_autoptr(MachineConfig) c = expect_run("");

    assert_null(c->name);
    assert_int_equal(c->ram_size, 128 * MIB);
    assert_false(c->ram_size_given);
    assert_int_equal(c->memory_slots, 0);
    assert_int_equal(c->maxmem, 0);
    assert_int_equal(c->cpus, 1);
    assert_string_equal(c->cpu, "host");
    assert_string_equal(c->kernel, "vmlinuz");
    assert_null(c->initrd);
    assert_null(c->append);
    assert_null(c->kvm_device);
    assert_int_equal(c->objects->len, 0);
    assert_null(c->memory_backend);
    assert_null(c->dump_dtb);
    assert_false(c->dtb);
    assert_false(c->full_render);
    assert_null(c->dump_memory_map);
    assert_int_equal(c->serials->len, 0);
    assert_false(c->nographic || c->nodefaults || c->no_reboot || c->stopped);
    assert_null(c->log_items);
    assert_null(c->log_file);
    assert_int_equal(c->traces->len, 0);
    assert_null(c->trace_file);
}

/* An underscore stands for a blank in these lines, so the names are patterns. */
static void test_options_parse_trace(void **state)
{
    g_autoptr(MachineConfig) c =
        expect_run("-trace vcpu*,file=first -trace enable=kvm?slot,file=a,,b.json "
                   "-trace enable=-vcpu?enter");

    assert_int_equal(c->traces->len, 3);
    assert_string_equal(c->traces->pdata[0], "vcpu*");
    assert_string_equal(c->traces->pdata[1], "kvm?slot");
    assert_string_equal(c->traces->pdata[2], "-vcpu?enter");
    assert_string_equal(c->trace_file, "a,b.json");
    expect_answer("-trace help", "vcpu_exit(cpu, reason, address");
    expect_answer("-trace ?", "kvm_slot");
    expect_refused("-kernel x -trace vcpu", "-trace vcpu", "'vcpu' (did you mean 'vcpu", NULL);
    expect_refused("-kernel x -trace enable=-nothing*", "'nothing*'", "-trace help", NULL);
    expect_refused("-kernel x -trace vcpu*,flie=x", "-trace", "'flie'", "'file'", NULL);
    expect_refused("-kernel x -trace vcpu*,file=", "-trace", "file", NULL);
    expect_refused("-kernel x -trace", "-trace", NULL);
}

static void test_options_parse_every_option(void **state)
{
    g_autoptr(MachineConfig) c = expect_run(
        "-name guest1 -m 1G,slots=2,maxmem=4G -smp 4 -cpu host,-xsave -initrd i.gz "
        "--append console=ttyS0_quiet -accel kvm,device=/dev/other -enable-kvm "
        "-machine pc,accel=kvm,dtb=on,dump-memory-map=-,memory-backend=m "
        "-object memory-backend-ram,id=m,size=1G -object memory-backend-memfd,id=n,size=1M "
        "-serial file:log -nographic -nodefaults -display none -monitor none -vga none -net none "
        "-nic none -parallel none -no-user-config -no-reboot -S -d boot,slots -D trace");

    assert_string_equal(c->name, "guest1");
    assert_int_equal(c->ram_size, GIB);
    assert_int_equal(c->memory_slots, 2);
    assert_int_equal(c->maxmem, 4 * GIB);
    assert_int_equal(c->cpus, 4);
    assert_string_equal(c->cpu, "host,-xsave");
    assert_string_equal(c->initrd, "i.gz");
    assert_string_equal(c->append, "console=ttyS0 quiet");
    assert_string_equal(c->kvm_device, "/dev/other");
    assert_true(c->dtb);
    assert_string_equal(c->dump_memory_map, "-");
    assert_string_equal(c->memory_backend, "m");
    assert_int_equal(c->objects->len, 2);
    assert_string_equal(c->objects->pdata[0], "memory-backend-ram,id=m,size=1G");
    assert_string_equal(c->objects->pdata[1], "memory-backend-memfd,id=n,size=1M");
    assert_int_equal(c->serials->len, 1);
    assert_string_equal(c->serials->pdata[0], "file:log");
    assert_true(c->nographic && c->nodefaults && c->no_reboot && c->stopped);
    assert_string_equal(c->log_items, "boot,slots");
    assert_string_equal(c->log_file, "trace");
}

static void test_options_parse_two_dashes(void **state)
{
    g_autoptr(MachineConfig) c = expect_run("--m 64 --smp 2 --no-reboot --S");

    assert_int_equal(c->ram_size, 64 * MIB);
    assert_int_equal(c->cpus, 2);
    assert_true(c->no_reboot && c->stopped);
}

static void test_options_parse_repeated(void **state)
{
    g_autoptr(MachineConfig) c = expect_run(
        "-kernel k2 -cpu max -cpu host -smp 4 -smp 2 -name a -name b -append x -append y "
        "-accel kvm,device=/a -accel kvm -machine dtb=on,dump-memory-map=a -M dump-memory-map=b "
        "-machine pc -serial null -serial pty -serial mon:stdio -d all -d none -D a -D b");

    assert_string_equal(c->kernel, "k2");
    assert_string_equal(c->cpu, "host");
    assert_int_equal(c->cpus, 2);
    assert_string_equal(c->name, "b");
    assert_string_equal(c->append, "y");
    assert_null(c->kvm_device);
    assert_true(c->dtb);
    assert_string_equal(c->dump_memory_map, "b");
    assert_int_equal(c->serials->len, 3);
    assert_string_equal(c->serials->pdata[0], "null");
    assert_string_equal(c->serials->pdata[1], "pty");
    assert_string_equal(c->serials->pdata[2], "mon:stdio");
    assert_string_equal(c->log_items, "none");
    assert_string_equal(c->log_file, "b");
}

static void test_options_parse_doubled_comma(void **state)
{
    g_autoptr(MachineConfig) c = expect_run("-name a,,b -machine dump-memory-map=x,,y,dtb=on "
                                            "-accel kvm,device=/d,,e -kernel a,b");

    assert_string_equal(c->name, "a,b");
    assert_string_equal(c->dump_memory_map, "x,y");
    assert_string_equal(c->kvm_device, "/d,e");
    assert_string_equal(c->kernel, "a,b"); /* a path of its own needs no doubling */
}

static void test_options_parse_append_takes_anything(void **state)
{
    g_autoptr(MachineConfig) empty = expect_run("-append ''");
    g_autoptr(MachineConfig) dashes = expect_run("-append -S");

    assert_string_equal(empty->append, "");
    assert_string_equal(dashes->append, "-S");
    assert_false(dashes->stopped);
}

static void test_options_parse_what_a_kernel_needs(void **state)
{
    g_auto(Outcome) dtb = parse("-machine dumpdtb=out -smp 2");

    expect_refused("-m 64", "nothing to boot", "-kernel", NULL);
    expect_refused("-initrd i", "-initrd 'i'", "-kernel", NULL);
    expect_refused("-append console=ttyS0", "-append 'console=ttyS0'", "-kernel", NULL);
    expect_refused("-machine dumpdtb=out -initrd i", "-initrd 'i'", "-kernel", NULL);
    assert_int_equal(dtb.result, OPTIONS_RUN);
    assert_string_equal(dtb.config->dump_dtb, "out");
}

static void test_options_parse_no_option_at_all(void **state)
{
    char *only_name[] = { g_strdup("tessera"), NULL };
    char *nothing[] = { NULL };
    g_auto(Outcome) a = parse_words(only_name), b = parse_words(nothing);

    assert_non_null(strstr(a.error->message, "nothing to boot"));
    assert_non_null(strstr(b.error->message, "nothing to boot"));
    g_free(only_name[0]);
}

static void test_options_parse_unknown(void **state)
{
    expect_refused("-kernal k", "-kernal", "did you mean -kernel?", NULL);
    expect_refused("--kernal k", "--kernal", "did you mean -kernel?", NULL);
    expect_refused("-no-rebot", "did you mean -no-reboot?", NULL);
    expect_refused("-zzzzzzzz", "-zzzzzzzz", "-help", NULL);
    expect_refused("-append=quiet", "-append=quiet", "-append quiet", NULL);
    expect_refused("-apend=quiet", "did you mean -append?", NULL);
    expect_refused("disk.img", "'disk.img'", "-kernel", NULL);
    expect_refused("-", "'-'", NULL);
    expect_refused("--", "--", "-help", NULL);
    expect_refused("''", "''", NULL);
    expect_refused("---m 3", "---m", NULL);
    expect_refused("-drive file=x", "-drive", "-initrd", NULL);
    expect_refused("-bios x", "-kernel", NULL);
    expect_refused("-mon chardev=x", "-monitor unix:PATH", "-qmp", NULL);
    expect_refused("-qmp-pretty stdio", "-qmp ", NULL);
    expect_refused("-mem-path /x", "memory-backend-file", NULL);
}

static void test_options_parse_missing_argument(void **state)
{
    static const char *const takers[] = { "m",      "smp",    "cpu",    "machine", "accel",
                                          "object", "name",   "kernel", "initrd",  "serial",
                                          "display", "monitor", "qmp",  "d",    "D",       "vga",
                                          "nic",    "net",    "parallel", "M" };

    for (size_t i = 0; i < G_N_ELEMENTS(takers); i++) {
        g_autofree char *last = g_strdup_printf("-%s", takers[i]);
        g_autofree char *empty = g_strdup_printf("-%s ''", takers[i]);
        g_autofree char *option = g_strdup_printf("-%s --no-reboot", takers[i]);

        expect_refused(last, "needs an argument", NULL);
        expect_refused(empty, "empty", NULL);
        expect_refused(option, "needs an argument", "--no-reboot", NULL);
    }
    expect_refused("-append", "-append needs an argument", NULL);
}

static void test_options_parse_smp(void **state)
{
    static const struct {
        const char *text;
        uint64_t cpus;
    } good[] = {
        { "1", 1 },
        { "cpus=3", 3 },
        { "4,sockets=1,cores=4,threads=1,maxcpus=4", 4 },
        { "cores=5", 5 },
        { "sockets=1,maxcpus=1", 1 },
        { "4096", 4096 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autofree char *line = g_strdup_printf("-smp %s", good[i].text);
        g_autoptr(MachineConfig) c = expect_run(line);

        assert_int_equal(c->cpus, good[i].cpus);
    }
    expect_refused("-smp 0", "'0'", "1 to 4096", NULL);
    expect_refused("-smp 4097", "'4097'", "1 to 4096", NULL);
    expect_refused("-smp two", "'two'", NULL);
    expect_refused("-smp 4,sockets=2", "sockets=2", "sockets=1", NULL);
    expect_refused("-smp 4,threads=2", "threads=2", "threads=1", NULL);
    expect_refused("-smp 4,cores=2", "cores=2", "cores=4", NULL);
    expect_refused("-smp 4,maxcpus=8", "maxcpus=8", "maxcpus=4", NULL);
    expect_refused("-smp 4,dies=2", "'dies'", NULL);
    expect_refused("-smp 4,=2", "-smp", NULL);
}

static void test_options_parse_machine(void **state)
{
    g_autoptr(MachineConfig) off = expect_run("-machine dtb=on -machine type=pc,dtb=off");
    g_autoptr(MachineConfig) bare = expect_run("-machine pc,dtb");
    g_autoptr(MachineConfig) full = expect_run("-machine full-render=on -machine dtb=off");

    assert_false(off->dtb);
    assert_true(bare->dtb);
    assert_true(full->full_render && !bare->full_render);
    expect_refused("-machine q35", "-machine q35", "-machine pc", NULL);
    expect_refused("-M microvm", "microvm", "-machine pc", NULL);
    expect_refused("-machine pc,accel=tcg", "accel=tcg", "accel=kvm", NULL);
    expect_refused("-machine pc,accel=kvm:tcg", "accel=kvm:tcg", NULL);
    expect_refused("-machine dumpdb=x", "'dumpdb'", "'dumpdtb'", NULL);
    expect_refused("-machine dtb=maybe", "dtb", "'maybe'", "'on'", NULL);
    expect_refused("-machine full-render=2", "full-render", "'2'", "'on'", NULL);
    expect_refused("-machine pc,dumpdtb", "dumpdtb", "no value", NULL);
    expect_refused("-machine dumpdtb=", "dumpdtb", "no value", NULL);
    expect_refused("-machine memory-backend=", "memory-backend", NULL);
    expect_refused("-machine pc,=", "-machine", NULL);
}

static void test_options_parse_size_of_backend(void **state)
{
    static const struct {
        const char *line;
        uint64_t size;
    } cases[] = {
        { "-machine memory-backend=m -object memory-backend-ram,id=m,size=2G", 2 * GIB },
        { "-object memory-backend-ram,size=64M,id=m -machine memory-backend=m", 64 * MIB },
        { "-object a,id=n,size=64M -object a,id=m,size=3M -M memory-backend=m", 3 * MIB },
        { "-object a,id=m,size=2G -M memory-backend=m -m slots=1,maxmem=4G", 2 * GIB },
        { "-object a,id=m,size=2G -M memory-backend=m -m 1G", GIB },
        { "-object a,id=m,size=2G", 128 * MIB },
        { "-object a,id=n,size=2G -M memory-backend=m", 128 * MIB },
        { "-object a,id=m -M memory-backend=m", 128 * MIB },
        { "-object a,id=m,size=x -M memory-backend=m", 128 * MIB },
        { "-object = -M memory-backend=m", 128 * MIB },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(MachineConfig) c = expect_run(cases[i].line);

        if (c->ram_size != cases[i].size) {
            fail_msg("'%s' gave %" G_GUINT64_FORMAT, cases[i].line, c->ram_size);
        }
    }
}

static void test_options_parse_accel(void **state)
{
    g_autoptr(MachineConfig) plain = expect_run("-accel kvm -enable-kvm");
    g_autoptr(MachineConfig) device = expect_run("-accel device=/x");

    assert_null(plain->kvm_device);
    assert_string_equal(device->kvm_device, "/x");
    expect_refused("-machine dump-memory-map=/tmp/map.png", "-machine dump-memory-map=/tmp/map.png: ",
                   "there is no .png", ".svg, .dot (Graphviz) or .json", "any other name gets text",
                   NULL);
    expect_refused("-accel tcg", "-accel tcg", "-accel kvm", NULL);
    expect_refused("-accel tcg,thread=multi", "-accel tcg", "-accel kvm", NULL);
    expect_refused("-accel kvm,devise=/x", "'devise'", "'device'", NULL);
    expect_refused("-accel kvm,device=", "device", "no value", NULL);
    expect_refused("-accel kvm,,x", "kvm,x", NULL);
}

static void test_options_parse_what_is_not_there(void **state)
{
    expect_refused("-display gtk", "-display gtk", "-display none", NULL);
    expect_refused("-vga std", "-vga std", "-vga none", NULL);
    expect_refused("-net user", "user", "network", NULL);
    expect_refused("-nic user", "-nic user", "-nic none", NULL);
    expect_refused("-parallel stdio", "-parallel stdio", "-parallel none", NULL);
    expect_refused("-name a,process=b", "-name", "'process'", NULL);
}

static void test_options_parse_answers(void **state)
{
    g_autofree char *help = options_help();

    expect_answer("-help", help);
    expect_answer("-h", help);
    expect_answer("--help", help);
    expect_answer("-m 64 -help -zzz", help);
    expect_answer("-version", "tessera " TESSERA_VERSION "\n");
    expect_answer("--version", "tessera " TESSERA_VERSION "\n");
    expect_answer("-d help", "guest_errors");
    expect_answer("-d ?", "guest_errors");
    expect_answer("-machine help", "dump-memory-map=FILE");
    expect_answer("-device help", "pc-dimm");
    expect_answer("-device pc-dimm,help", "memdev=ID");
    expect_answer("-machine pc,help", "memory-backend=ID");
    expect_answer("-accel help", "kvm");
    expect_answer("-accel kvm,help", "device=PATH");
    expect_answer("-object help", "Types");
    expect_refused("-object nonsense,help", "'nonsense'", NULL);
    expect_refused("-zzz -help", "-zzz", NULL);
}

static void test_options_parse_cpu_help(void **state)
{
    cpu_helps = 0;
    cpu_help_works = true;
    expect_answer("-cpu help", "");
    expect_answer("-cpu ?", "");
    cpu_help_works = false;
    expect_refused("-cpu help", "no KVM here", NULL);
    assert_int_equal(cpu_helps, 3);
}

static void test_options_device_adds_up(void **state)
{
    g_autoptr(MachineConfig) none = expect_run("");
    g_autoptr(MachineConfig) c =
        expect_run("-device pc-dimm,id=d1,memdev=m1 -device pc-dimm,id=d2,memdev=m2,slot=3");

    assert_int_equal(none->devices->len, 0);
    assert_int_equal(c->devices->len, 2);
    assert_string_equal(c->devices->pdata[0], "pc-dimm,id=d1,memdev=m1");
    assert_string_equal(c->devices->pdata[1], "pc-dimm,id=d2,memdev=m2,slot=3");
    expect_refused("-device pc-dim,help", "'pc-dim'", "'pc-dimm'", NULL);
    expect_refused("-device isa-serial,help", "isa-serial", "part of the board", NULL);
}

static void test_options_help_has_no_long_lines(void **state)
{
    g_autofree char *help = options_help();
    g_auto(GStrv) lines = g_strsplit(help, "\n", 0);

    assert_true(g_strv_length(lines) > 30);
    for (int i = 0; lines[i]; i++) {
        if (strlen(lines[i]) > 79 || g_str_has_suffix(lines[i], " ")) {
            fail_msg("line of %zu characters: '%s'", strlen(lines[i]), lines[i]);
        }
    }
}

/* "-name, -alias ARGUMENT  text": is there an argument? */
static bool shows_argument(const char *line)
{
    const char *at = line + strcspn(line, ", ");

    if (at[0] == ',') {
        at += 2;
        at += strcspn(at, " ");
    }
    return at[0] == ' ' && at[1] != ' ' && at[1] != '\0';
}

/* Each option that -help lists is known to the reader, and takes an argument where it shows one. */
static void test_options_help_is_what_is_read(void **state)
{
    g_autofree char *help = options_help();
    g_auto(GStrv) lines = g_strsplit(help, "\n", 0);
    unsigned options = 0;

    for (int i = 0; lines[i]; i++) {
        const char *line = lines[i] + 2;
        g_autofree char *name = NULL;
        g_auto(Outcome) o = { 0 };

        if (!g_str_has_prefix(lines[i], "  -")) {
            continue;
        }
        name = g_strndup(line, strcspn(line, ", "));
        o = parse(name);
        if ((o.error && strstr(o.error->message, "needs an argument")) != shows_argument(line)) {
            fail_msg("'%s': %s", line, o.error ? o.error->message : "no error");
        }
        options++;
    }
    assert_true(options >= 25);
}

/* Words that mean something here or there, and rubbish. */
static const char *const vocabulary[] = {
    "-m", "-smp", "-cpu", "-machine", "-M", "-accel", "-enable-kvm", "-object", "-device",
    "-name", "-kernel", "-initrd", "-append", "-serial", "-nographic", "-nodefaults", "-display",
    "-monitor", "-qmp", "-vga",
    "-nic", "-net", "-parallel", "-no-user-config", "-no-reboot", "-S", "-d", "-D", "-help",
    "-trace",
    "-version", "--m", "--kernel", "-kernel", "-drive", "-kernal", "-", "--", "", "512", "5G", "0",
    "1B", "8E", "16E", "1G,slots=4,maxmem=8G", "slots=4", "maxmem=1,slots=257", "2,cores=2", "help",
    "?", "none", "stdio", "mon:stdio", "mon:x", "file:", "pc", "pc,dtb=on", "dumpdtb=x", "q35",
    "kvm", "kvm,device=/x", "tcg", "memory-backend-ram,id=m,size=1G", "memory-backend-ram,help",
    "a,,b", ",", "=", "a=", "=b", ",,,", "a=b=c", "pc,help", "host,+x", "all", "%s%n%d", "\xff\xfe",
};

static char *random_word(GRand *rand)
{
    char *word = g_strdup(vocabulary[g_rand_int_range(rand, 0, G_N_ELEMENTS(vocabulary))]);
    size_t len = strlen(word);

    if (len && g_rand_int_range(rand, 0, 8) == 0) {
        word[g_rand_int_range(rand, 0, (int)len)] = (char)g_rand_int_range(rand, 1, 256);
    }
    if (g_rand_int_range(rand, 0, 400) == 0) {
        g_free(word);
        word = g_strnfill(20000, 'x');
        word[0] = '-';
    }
    return word;
}

/* A refusal is one line that says something; a configuration is within its bounds. */
static void check_outcome(const Outcome *o)
{
    if (o->error) {
        assert_true(strlen(o->error->message) > 5);
        assert_int_equal(o->error->domain, TESSERA_ERROR);
    }
    if (o->config) {
        const MachineConfig *c = o->config;

        assert_true(c->ram_size >= MIB && c->ram_size % 4096 == 0);
        assert_true(c->memory_slots <= 256);
        assert_true(c->memory_slots ? c->maxmem >= c->ram_size : c->maxmem == 0);
        assert_true(c->cpus >= 1 && c->cpus <= 4096);
        assert_true(c->cpu && c->cpu[0]);
        assert_true(c->kernel || c->dump_dtb);
        assert_true(c->kernel || (!c->initrd && !c->append));
    }
}

static void test_options_parse_random(void **state)
{
    const char *text = g_getenv("TESSERA_SEED");
    guint32 seed = text ? (guint32)strtoul(text, NULL, 0) : 4711;
    GRand *rand = g_rand_new_with_seed(seed);
    unsigned counts[3] = { 0 };

    print_message("# seed %u\n", seed);
    cpu_help_works = true;
    for (unsigned round = 0; round < 20000; round++) {
        int n = g_rand_int_range(rand, 1, 8);
        bool with_kernel = g_rand_boolean(rand);
        char **words = g_new0(char *, (gsize)n + 4);
        int at = 0;

        words[at++] = g_strdup("tessera");
        if (with_kernel) {
            words[at++] = g_strdup("-kernel");
            words[at++] = g_strdup("k");
        }
        for (int i = 0; i < n; i++) {
            words[at++] = random_word(rand);
        }
        {
            g_auto(Outcome) o = parse_words(words);

            check_outcome(&o);
            counts[o.result]++;
        }
        g_strfreev(words);
    }
    g_rand_free(rand);
    /* It came through everywhere. */
    assert_true(counts[OPTIONS_RUN] > 100);
    assert_true(counts[OPTIONS_DONE] > 100);
    assert_true(counts[OPTIONS_ERROR] > 100);
}

static void test_machine_config_free_null(void **state)
{
    machine_config_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_parse_defaults),
        cmocka_unit_test(test_options_parse_every_option),
        cmocka_unit_test(test_options_parse_trace),
        cmocka_unit_test(test_options_parse_two_dashes),
        cmocka_unit_test(test_options_parse_repeated),
        cmocka_unit_test(test_options_parse_doubled_comma),
        cmocka_unit_test(test_options_parse_append_takes_anything),
        cmocka_unit_test(test_options_parse_what_a_kernel_needs),
        cmocka_unit_test(test_options_parse_no_option_at_all),
        cmocka_unit_test(test_options_parse_unknown),
        cmocka_unit_test(test_options_parse_missing_argument),
        cmocka_unit_test(test_options_parse_smp),
        cmocka_unit_test(test_options_parse_machine),
        cmocka_unit_test(test_options_parse_size_of_backend),
        cmocka_unit_test(test_options_parse_accel),
        cmocka_unit_test(test_options_parse_what_is_not_there),
        cmocka_unit_test(test_options_parse_answers),
        cmocka_unit_test(test_options_parse_cpu_help),
        cmocka_unit_test(test_options_device_adds_up),
        cmocka_unit_test(test_options_help_has_no_long_lines),
        cmocka_unit_test(test_options_help_is_what_is_read),
        cmocka_unit_test(test_options_parse_random),
        cmocka_unit_test(test_machine_config_free_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
