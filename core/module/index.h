/* SPDX-License-Identifier: MIT */

/*
 * The index of bundled modules: which module provides which directive in which contexts.
 *
 * It is a text file in the folder of the modules, one "directive<TAB>module<TAB>contexts" a line,
 * contexts being enum lbd_where in hexadecimal.  The build makes it with module_print_index().
 * The index is one for the process; nothing else here keeps state.
 */

#ifndef LBD_CORE_MODULE_INDEX_H
#define LBD_CORE_MODULE_INDEX_H

#include <stdio.h>

#include <lbd/base.h>

/*
 * Reads folder/index.tsv, replacing what was read before.  0 or -errno (-EINVAL: a line is not as
 * described; the index is empty then).  Without an index no module is loaded by itself.
 */
int module_index_read(const char *folder);
void module_index_free(void);

/* For struct config_loader: */
const char *module_of(const char *directive, uint32_t where);
const char *module_known(unsigned i, uint32_t *where);

/* Writes the index of these module files; 0, or -1 and a message in err. */
int module_print_index(char *const *files, unsigned n, FILE *out, char *err, size_t errsize);

#endif
