"""Sampling divided over processes of this machine, or over a Ray cluster.

    inputs → jobs → shares → pool ⇄ workers (processes, ray_cluster) → tallies, as they are done

A share is a unit of work. Its noise follows from (seed, index, stage, block), and only whole
numbers are added up. So no tally depends on who does a share, in what order, or how often it was
repeated.
"""
