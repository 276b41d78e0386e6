/* SPDX-License-Identifier: MIT */

/*
 * What lbd says about itself: -v, -V, -h.
 */

#ifndef LBD_CORE_PROC_INFO_H
#define LBD_CORE_PROC_INFO_H

/* On stderr, as people know it. */
void info_version(void);
/* Version, compiler, configure's arguments, event engines, module API, bundled modules. */
void info_build(const char *modules_path);
/* On stdout, with the names of the bundled modules. */
void info_help(const char *modules_path);

#endif
