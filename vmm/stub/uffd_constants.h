// SPDX-License-Identifier: Apache-2.0
// userfaultfd(2) constants that the headers of Debian 12 lack.
#pragma once

#include <linux/userfaultfd.h>

#ifndef UFFDIO_CONTINUE_MODE_WP
#define UFFDIO_CONTINUE_MODE_WP (__u64{1} << 1)
#endif
static_assert(UFFDIO_CONTINUE_MODE_WP == 2);
