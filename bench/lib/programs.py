"""Figures of single functions: programs of this folder that print "name value" lines, pinned and run again and again."""
from lib.common import SERVER_CPU, Skip, pinned, program, run_load

ROUTER = {
    "scan": ["scan_ns"],
    "tables": ["lookup_1m_ns", "lookup_1m_mib", "rebuild_1m_ms"],
}
MAPPER = {
    "mapper_index": ["index_mib", "sparse_50km_cpu_ms", "dense_5km_cpu_ms", "dense_50km_cpu_ms",
                     "dense_50km_search_cpu_ms", "naive_cpu_ms"],
}


def measurer(area, name, figures):
    """@return names of the figures, and the function that measures them"""
    names = [f"{area}.{figure}" for figure in figures]

    def measure(build, options, found):
        path = program(build, name)
        for _ in range(options.runs):
            values = run_load(pinned(SERVER_CPU, [path]))
            for figure in figures:
                if figure not in values:
                    raise Skip(f"bench/{name} does not print {figure}")
                found.add(f"{area}.{figure}", values[figure])

    return names, measure


def all_programs():
    return [measurer(area, name, figures) for area, table in (("router", ROUTER), ("mapper", MAPPER))
            for name, figures in table.items()]
