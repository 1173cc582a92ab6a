# SPDX-License-Identifier: Apache-2.0
"""Other precisions of a graph: half precision and int8, typed in the file."""
