# SPDX-License-Identifier: Apache-2.0
"""What anybody could use instead of stillflow, and the limits that nothing beats: targets like ours, loaded alike.

A peer is used the best way that its library documents, and says which way that is. Its outputs are held to ours where
it does the same work. Where its library is absent it refuses, and the run goes on without it.
"""
