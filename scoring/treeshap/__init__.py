"""Exact TreeSHAP by quadrature: any ensemble of binary trees in one flat form, one pass down and one up each tree.

The path-dependent Shapley value (Lundberg et al. 2020, https://doi.org/10.1038/s42256-019-0138-9, algorithm 2) of
feature i at a leaf of value v is v·(o_i − z_i)·∫₀¹ Π_{j≠i} (z_j(1−t) + o_j t) dt: z_j is the share of the training rows
that follow the path at j's splits, o_j whether this row does. The integrand is a polynomial of degree d−1 in t for d
distinct features on the path, so Gauss–Legendre quadrature with ⌈d/2⌉ nodes gives it exactly.

With u = 1−t, τ = t/u and q = o/z, a factor is z·u·(1 + qτ). Every z is known before any row comes and goes into the
leaf's value; u goes with 1/(1+τ), the factor of a feature that is not on the path yet (z = o = 1, so q = 1). What
depends on the row is q alone: 0 where it leaves the path, 1/z where it stays. Then (o−z)/(z·u·(1+qτ)) = e·(q−1)/u with
e = 1/(1+qτ), and one formula serves every edge: the path's product is divided by the former factor of the split's
feature (times e) and multiplied by the new one, and the leaf sums S of both children, collected upward, add
(S_hot·(q−1)e − S_cold − S·(q'−1)e')/u to the feature, where q', e' are the former ones. Where the path was left at the
same feature before, q = q' = 0 and nothing is added. The polynomial form is that of Linear TreeSHAP (Yu et al. 2022,
https://arxiv.org/abs/2209.08192); see also Fast TreeSHAP (Yang 2021, https://arxiv.org/abs/2109.09847).

Nothing is reordered and no product is fused with a sum, so the bits are the same on every CPU, one row or many.
"""
