"""The command; the rest of the package is imported once its libraries can be."""

from benchmarks.gpu.bare import libraries

if __name__ == "__main__":
    libraries()
    from benchmarks.gpu.run import main

    main()
