"""The stand-in for livepeer, in each of the versions that `versions` names."""
