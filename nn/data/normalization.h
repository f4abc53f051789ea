// Mean and standard deviation of the pixels of well-known data sets, per channel, pixels in [0, 1].
// Data sets hand out unnormalised pixels; a model that wants them normalised does it in its first
// layer, so that attacks work on pixels.
#pragma once

#include <span>

namespace slope::nn {

struct Normalization {
  std::span<const double> mean, std;  // (C)
};

namespace normalization_values {
inline constexpr double kMnistMean[] = {0.13066048}, kMnistStd[] = {0.30810781};
inline constexpr double kFashionMean[] = {0.28604060}, kFashionStd[] = {0.35302424};
inline constexpr double kCifarMean[] = {0.49139968, 0.48215841, 0.44653091},
                        kCifarStd[] = {0.24703223, 0.24348513, 0.26158784};
// As the meta-solver's CIFAR networks have it: means of the images' own standard deviations.
inline constexpr double kMetaSolverMean[] = {0.4914, 0.4822, 0.4465},
                        kMetaSolverStd[] = {0.2023, 0.1994, 0.2010};
// As in the homework on torchdiffeq's network.
inline constexpr double kHomeworkMean[] = {0.4824, 0.4713, 0.4357},
                        kHomeworkStd[] = {0.1862, 0.1703, 0.1875};
}  // namespace normalization_values

// Of the training sets, computed over all pixels.
inline constexpr Normalization kMnistPixels{normalization_values::kMnistMean,
                                            normalization_values::kMnistStd};
inline constexpr Normalization kFashionMnistPixels{normalization_values::kFashionMean,
                                                   normalization_values::kFashionStd};
inline constexpr Normalization kCifar10Pixels{normalization_values::kCifarMean,
                                              normalization_values::kCifarStd};
// What published networks use in their place.
inline constexpr Normalization kCifar10MetaSolver{normalization_values::kMetaSolverMean,
                                                  normalization_values::kMetaSolverStd};
inline constexpr Normalization kCifar10Homework{normalization_values::kHomeworkMean,
                                                normalization_values::kHomeworkStd};

}  // namespace slope::nn
