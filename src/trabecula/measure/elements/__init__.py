"""Linear elastic finite elements on voxels and on DXA maps."""
