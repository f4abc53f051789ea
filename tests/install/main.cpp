// Both ways to include an installed header work; linking needs nothing but the two targets.
#include <slope.h>
#include <slope/slope.h>

#include <slope/nn/data/embedded.h>

int main() { return slope::nn::embedded_file("no such file").empty() ? 0 : 1; }
