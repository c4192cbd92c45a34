/* SPDX-License-Identifier: GPL-2.0 */
/* Same processor, same numbers: x86's own header serves. */
#include "../../../x86/include/asm/trapnr.h"
