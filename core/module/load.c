/* SPDX-License-Identifier: MIT */

/*
 * Opens a module file.  The order of the checks is the order of what they cost when they fail:
 * nothing of the module runs (not even its constructors) before its version has been compared.
 *
 * Which files are opened is decided by core/config; what the tables must hold is checked there,
 * too.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/ascii.h"
#include "core/module/elf.h"
#include "core/module/load.h"
#include "core/os/file.h"

enum { MAX_FILE = 256 << 20 };

/* Where a message goes, and whose it is. */
struct refusal {
	const char *file; /* without its folder */
	char *err;
	size_t size;
};

/* Always false, for the caller to return. */
LBD_PRINTF(2, 3) static bool
refuse(const struct refusal *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->err, r->size, fmt, ap);
	va_end(ap);
	return false;
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

static bool
refuse_errno(const struct refusal *r, const char *path, int err)
{
	char buf[128];
	const char *text = strerror_r(err, buf, sizeof(buf));

	return refuse(r, "could not open \"%s\": %c%s (%d)", path, ascii_lower(text[0]),
		text[0] == '\0' ? "" : text + 1, err);
}

/* Maps the file; end with munmap().  False after a message. */
static bool
map_file(const struct refusal *r, const char *path, struct lbd_str *file)
{
	struct stat st;
	void *p = MAP_FAILED;
	int err = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return refuse_errno(r, path, errno);
	if (fstat(fd, &st) < 0)
		err = errno;
	else if (!S_ISREG(st.st_mode))
		refuse(r, "\"%s\" is not a regular file", path);
	else if ((st.st_mode & S_IWOTH) != 0 && geteuid() == 0)
		refuse(r, "module \"%s\" can be changed by everybody; not loaded as root", r->file);
	else if (st.st_size == 0 || st.st_size > MAX_FILE)
		refuse(r, "\"%s\" is not a shared object", r->file);
	else
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED && err == 0 && r->err[0] == '\0')
		err = errno;
	fd_close(&fd);
	if (err != 0)
		return refuse_errno(r, path, err);
	if (p == MAP_FAILED)
		return false;
	*file = lbd_str(p, (size_t)st.st_size);
	return true;
}

static bool
check_version(const struct refusal *r, const struct lbd_module *m)
{
	if (m->magic != LBD_MODULE_MAGIC)
		return refuse(r, "\"%s\": its lbd_module has no valid magic; not an lbd module?",
			      r->file);
	if (m->abi_major != LBD_ABI_MAJOR || m->abi_minor > LBD_ABI_MINOR)
		return refuse(r, "module \"%s\" needs module API %u.%u; this lbd offers %u.%u: %s",
			      r->file, m->abi_major, m->abi_minor, LBD_ABI_MAJOR, LBD_ABI_MINOR,
			      m->abi_major != LBD_ABI_MAJOR ? "rebuild the module" :
							      "upgrade lbd, or rebuild the module");
	if (m->size < sizeof(struct lbd_module))
		return refuse(r, "module \"%s\" has %u bytes in lbd_module, at least %zu are %s",
			      r->file, m->size, sizeof(struct lbd_module),
			      "expected: rebuild the module");
	return true;
}

/* The numbers at the head of lbd_module, as they are in the file. */
static bool
check_symbol(const struct refusal *r, struct lbd_str file)
{
	struct lbd_module head = { 0 };
	struct lbd_str data, ignored;
	bool found, is_nginx;

	if (elf_symbol(file, "lbd_module", &found, &data) != ELF_OK)
		return refuse(r, "\"%s\" is damaged or has no table of symbols", r->file);
	if (!found) {
		is_nginx = elf_symbol(file, "ngx_modules", &found, &ignored) == ELF_OK && found;
		return refuse(r, "\"%s\": no symbol \"lbd_module\"; %s", r->file,
			is_nginx ? "it looks like an nginx module" : "not an lbd module?");
	}
	if (data.n < offsetof(struct lbd_module, slot))
		return refuse(r, "\"%s\": its lbd_module is empty; not an lbd module?", r->file);
	memcpy(&head, data.p, offsetof(struct lbd_module, slot));
	return check_version(r, &head);
}

static bool
check_file(const struct refusal *r, const char *path)
{
	const char *theirs = "", *ours = "";
	struct lbd_str file;
	bool ok = false;

	if (!map_file(r, path, &file))
		return false;
	switch (elf_check(file, &theirs, &ours)) {
	case ELF_OK:
		ok = check_symbol(r, file);
		break;
	case ELF_MACHINE:
		if (theirs == ours)
			refuse(r, "\"%s\" is for another kind of %s", r->file, ours);
		else
			refuse(r, "\"%s\" is for %s; this is %s", r->file, theirs, ours);
		break;
	default:
		refuse(r, "\"%s\" is not a shared object", r->file);
	}
	munmap((void *)(uintptr_t)file.p, file.n);
	return ok;
}

/* A missing lbd_ function means that the module wants another lbd. */
static void
refuse_dlopen(const struct refusal *r)
{
	const char *why = dlerror(), *symbol;

	if (why == NULL)
		why = "unknown reason";
	symbol = strstr(why, "undefined symbol: ");
	if (symbol != NULL)
		why = symbol;
	refuse(r, "module \"%s\" could not be loaded: %s%s", r->file, why,
		symbol != NULL && strstr(symbol, ": lbd_") != NULL ?
			"; this lbd does not offer it to modules" : "");
}

static bool
check_name(const struct refusal *r, const char *name)
{
	size_t i, n = name == NULL ? 0 : strlen(name);

	for (i = 0; i < n; i++) {
		if (!ascii_is(name[i], CLASS_ALPHA | CLASS_DIGIT) && name[i] != '_')
			break;
	}
	if (n == 0 || n > 64 || i < n)
		return refuse(r,
			      "module \"%s\" has no usable name; allowed are letters, digits and _",
			      r->file);
	return true;
}

struct lbd_module *
module_open(const char *path, char *err, size_t errsize)
{
	struct refusal r = { .file = base_name(path), .err = err, .size = errsize };
	struct lbd_module *m;
	void *so;

	err[0] = '\0';
	if (!check_file(&r, path))
		return NULL;
	so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (so == NULL) {
		refuse_dlopen(&r);
		return NULL;
	}
	/* From here on it stays open: its code may have registered things with libraries. */
	m = dlsym(so, "lbd_module");
	if (m == NULL) {
		refuse(&r, "\"%s\": no symbol \"lbd_module\"; not an lbd module?", r.file);
		return NULL;
	}
	if (!check_version(&r, m) || !check_name(&r, m->name))
		return NULL;
	return m;
}
