# SPDX-License-Identifier: Apache-2.0
"""The benchmark suite: what stillflow costs on this machine, and what its loops look like in figures."""
