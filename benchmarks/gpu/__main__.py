"""The command. It makes the libraries importable before it imports the rest of the package."""

from benchmarks.gpu.bare import libraries

if __name__ == "__main__":
    libraries()
    from benchmarks.gpu.run import main

    main()
