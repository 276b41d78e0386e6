/* SPDX-License-Identifier: MIT */

/*
 * What a shared object says about itself, read without running any of its code.
 */

#ifndef LBD_CORE_MODULE_ELF_H
#define LBD_CORE_MODULE_ELF_H

#include <lbd/str.h>

enum elf_rc {
	ELF_OK,
	ELF_NOT,      /* no ELF file */
	ELF_KIND,     /* for this machine, and no shared object */
	ELF_MACHINE,  /* for another machine, word size or byte order */
	ELF_DAMAGED,  /* offsets that lead out of the file */
};

/* Looks at the header.  For ELF_MACHINE: *theirs and *ours are names of machines. */
enum elf_rc elf_check(struct lbd_str file, const char **theirs, const char **ours);

/*
 * Looks for an exported symbol in a file that elf_check() accepts.  ELF_OK: *found says whether it
 * is there, and *data is what the file holds from it to the end of its segment (empty when it has
 * no bytes in the file).  Numbers in it are as the program will see them; pointers are not.
 */
enum elf_rc elf_symbol(struct lbd_str file, const char *name, bool *found, struct lbd_str *data);

#endif
