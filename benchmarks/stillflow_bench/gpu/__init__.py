# SPDX-License-Identifier: Apache-2.0
"""What a GPU does with stillflow: figures, the check of a whole machine, and the pack that carries it to one."""
