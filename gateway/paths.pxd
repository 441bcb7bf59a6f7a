cpdef bytes normalise_path(bytes raw_path)
