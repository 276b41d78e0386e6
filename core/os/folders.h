/* SPDX-License-Identifier: MIT */

/*
 * Which folders must be watched to see a path change: the one it ends in, and those that hold a
 * link on the way.  Where the way ends early, the last folder that is there.
 */

#ifndef LBD_CORE_OS_FOLDERS_H
#define LBD_CORE_OS_FOLDERS_H

/* path is absolute; fn is called once or more for each folder. */
void folders_of_path(const char *path, void (*fn)(void *arg, const char *folder), void *arg);

/* The same for a mask: its folder, and where that has wildcards, all folders that match. */
void folders_of_mask(const char *mask, void (*fn)(void *arg, const char *folder), void *arg);

#endif
