// SPDX-License-Identifier: Apache-2.0
// A static library needs a source; with Catch2 v3 main() comes from Catch2 itself.
