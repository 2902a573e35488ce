"""What scoring costs beside the servers people use today: `make bench` measures, prints the goals, writes the results.

Same model, same rows, same machine, interleaved rounds; figures are medians. Each part stands alone (PART=faults).
"""
