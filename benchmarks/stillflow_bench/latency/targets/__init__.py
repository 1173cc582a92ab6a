# SPDX-License-Identifier: Apache-2.0
"""What of stillflow itself is measured: its networks, a first frame, the next frames, a whole job, a cold start."""
