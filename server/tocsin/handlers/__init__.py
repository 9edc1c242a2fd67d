"""The routes, a file a family. They know HTTP and the hub; the hub knows none of them."""
