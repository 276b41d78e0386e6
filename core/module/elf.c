/* SPDX-License-Identifier: MIT */

/*
 * Reads ELF files of this machine: header, dynamic symbols, loadable segments.  Every offset comes
 * from a file somebody else made and is checked against its size.
 */

#include <elf.h>
#include <link.h>

#include "core/module/elf.h"

static const struct {
	uint16_t machine;
	const char *name;
} machines[] = {
	{ EM_386, "i386" }, { EM_X86_64, "x86_64" }, { EM_ARM, "arm" }, { EM_AARCH64, "aarch64" },
	{ EM_RISCV, "riscv" }, { EM_PPC64, "ppc64" }, { EM_S390, "s390" }, { EM_MIPS, "mips" },
};

/*
 * The header every program for this machine has: that of the running one, by its own segment
 * table.
 */
static const ElfW(Ehdr) *
own_header(void)
{
	extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

	return &__ehdr_start;
}

static const char *
machine_name(uint16_t machine)
{
	size_t i;

	for (i = 0; i < LBD_ARRAY_LEN(machines); i++) {
		if (machines[i].machine == machine)
			return machines[i].name;
	}
	return "another machine";
}

static bool
copy_at(struct lbd_str file, uint64_t at, void *out, size_t n)
{
	if (at > file.n || file.n - at < n)
		return false;
	memcpy(out, file.p + at, n);
	return true;
}

enum elf_rc
elf_check(struct lbd_str file, const char **theirs, const char **ours)
{
	const ElfW(Ehdr) *own = own_header();
	ElfW(Ehdr) h;

	if (!lbd_str_starts(file, LBD_STR(ELFMAG)) || !copy_at(file, 0, &h, sizeof(h)))
		return ELF_NOT;
	*theirs = machine_name(h.e_machine);
	*ours = machine_name(own->e_machine);
	if (h.e_ident[EI_CLASS] != own->e_ident[EI_CLASS] ||
	    h.e_ident[EI_DATA] != own->e_ident[EI_DATA] || h.e_machine != own->e_machine)
		return ELF_MACHINE;
	return h.e_type == ET_DYN ? ELF_OK : ELF_KIND;
}

static bool
section_at(struct lbd_str file, const ElfW(Ehdr) *h, unsigned i, ElfW(Shdr) *s)
{
	return h->e_shentsize >= sizeof(*s) &&
	       copy_at(file, h->e_shoff + (uint64_t)i * h->e_shentsize, s, sizeof(*s));
}

static bool
find_symbol(struct lbd_str file, const ElfW(Shdr) *syms, const ElfW(Shdr) *names, const char *name,
	ElfW(Sym) *sym)
{
	size_t n = strlen(name) + 1;
	uint64_t i, count = syms->sh_size / sizeof(*sym);

	for (i = 0; i < count; i++) {
		if (!copy_at(file, syms->sh_offset + i * sizeof(*sym), sym, sizeof(*sym)))
			return false;
		if (sym->st_shndx == SHN_UNDEF || sym->st_name >= names->sh_size ||
		    names->sh_offset > file.n ||
		    file.n - names->sh_offset < (uint64_t)sym->st_name + n)
			continue;
		if (memcmp(file.p + names->sh_offset + sym->st_name, name, n) == 0)
			return true;
	}
	return false;
}

/* The bytes of the file that are at this address when it is loaded. */
static enum elf_rc
bytes_at(struct lbd_str file, const ElfW(Ehdr) *h, uint64_t address, struct lbd_str *data)
{
	ElfW(Phdr) p;
	unsigned i;

	*data = lbd_str(file.p, 0);
	for (i = 0; i < h->e_phnum; i++) {
		if (h->e_phentsize < sizeof(p) ||
		    !copy_at(file, h->e_phoff + (uint64_t)i * h->e_phentsize, &p, sizeof(p)))
			return ELF_DAMAGED;
		if (p.p_type != PT_LOAD || address < p.p_vaddr || address - p.p_vaddr >= p.p_filesz)
			continue;
		if (p.p_offset > file.n || file.n - p.p_offset < p.p_filesz)
			return ELF_DAMAGED;
		*data = lbd_str(file.p + p.p_offset + (address - p.p_vaddr),
			p.p_filesz - (address - p.p_vaddr));
		return ELF_OK;
	}
	return ELF_OK;
}

enum elf_rc
elf_symbol(struct lbd_str file, const char *name, bool *found, struct lbd_str *data)
{
	ElfW(Ehdr) h;
	ElfW(Shdr) syms, names;
	ElfW(Sym) sym;
	unsigned i;

	*found = false;
	*data = lbd_str(file.p, 0);
	if (!copy_at(file, 0, &h, sizeof(h)))
		return ELF_DAMAGED;
	for (i = 0; i < h.e_shnum; i++) {
		if (!section_at(file, &h, i, &syms))
			return ELF_DAMAGED;
		if (syms.sh_type != SHT_DYNSYM)
			continue;
		if (!section_at(file, &h, syms.sh_link, &names))
			return ELF_DAMAGED;
		if (!find_symbol(file, &syms, &names, name, &sym))
			return ELF_OK;
		*found = true;
		return bytes_at(file, &h, sym.st_value, data);
	}
	return ELF_DAMAGED; /* no dynamic symbols at all */
}
