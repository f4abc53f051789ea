// Data on the command line: where it is found, folders of pictures, augmentation, validation, the
// contact sheet.
#include "apps/slope/augment_word.h"
#include "apps/slope/data_source.h"
#include "nn/checkpoint.h"
#include "nn/data/image.h"
#include "tests/apps/program.h"
#include "tests/nn/message_of.h"
#include "tests/skip.h"

using namespace slope::program_test;
using slope::nn::Image;

namespace {

const std::string kSample = slope::test::source_dir() + "/data/cifar10-sample";

// A dark picture, or a light one.
void write_picture(const fs::path& path, int light, int number) {
  Image image{.height = 28, .width = 28, .channels = 1, .pixels = {}};
  for (int i = 0; i < 28 * 28; ++i)
    image.pixels.push_back(static_cast<uint8_t>(100 * light + (i * (7 + number)) % 100));
  slope::nn::write_png(path, image);
}

void write_folder(const fs::path& folder, int pictures) {
  for (const char* name : {"dark", "light"}) {
    fs::create_directories(folder / name);
    for (int i = 0; i < pictures; ++i)
      write_picture(folder / name / (std::to_string(i) + ".png"), name[0] == 'l', i);
  }
}

std::vector<double> weights(const fs::path& run) {
  std::vector<double> all;
  for (const auto& t : slope::nn::load_checkpoint(run / "model.safetensors").tensors) {
    const std::vector<double> values = t.tensor.values();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

const Json& entry(const Json& facts, const std::string& name) {
  for (const Json& d : facts["data"]) {
    if (d["name"] == name) return d;
  }
  FAIL("no " << name);
  return facts;
}

}  // namespace

TEST_CASE("augment words: options, order, mistakes") {
  using namespace slope::program;
  using namespace slope::nn;
  const auto list =
      parse_augment("crop,padding=2,fill=reflect,flip,jitter,hue=1/20,noise,sigma=8/255");
  REQUIRE(list.size() == 4);
  CHECK(std::get<RandomCrop>(list[0]).padding == 2);
  CHECK(std::get<RandomCrop>(list[0]).reflect);
  CHECK(std::get<RandomFlip>(list[1]).p == 0.5);
  CHECK(std::get<ColorJitter>(list[2]).hue == 0.05);
  CHECK(std::get<ColorJitter>(list[2]).brightness == 0);
  CHECK(std::get<RandomNoise>(list[3]).sigma == 8.0 / 255);
  CHECK(std::get<ColorJitter>(parse_augment("jitter")[0]).brightness == 0.2);
  CHECK(parse_augment("").empty());
  const std::pair<const char*, const char*> mistakes[] = {{"crap", "Did you mean crop?"},
                                                          {"flip,q=1", "p=0.5"},
                                                          {"crop,padding=1.5", "whole number"},
                                                          {"noise,sigma=much", "not a number"},
                                                          {"crop,fill=white", "black or reflect"}};
  for (const auto& [word, text] : mistakes) {
    const std::string message =
        slope::test::message_of<slope::ValueError>([&, w = word] { parse_augment(w); });
    INFO(message);
    CHECK(message.find(text) != std::string::npos);
  }
}

TEST_CASE("data that is not there: where it was sought, and the command that fetches it") {
  if (!slope::program::find_data("cifar10", slope::test::source_dir() + "/data").empty())
    SKIP_TEST("CIFAR-10 is there");
  Folder here;
  const Arguments train = {"train", "resnet-mnist", "--data", "cifar10", "--data-dir", "d"};
  check_error(here, train, 1, "cifar10 is not in d/cifar10");
  check_error(here, train, 1, "or fetch it: scripts/download-data.sh cifar10");
}

TEST_CASE("info data: found where, how many, checksums") {
  Folder here;
  const Json facts = run(here, {"info", "data", "--json"}).json();
  CHECK(entry(facts, "mnist")["checksums"] == "ok");
  CHECK(entry(facts, "mnist")["training"] == 60000);
  CHECK(entry(facts, "mnist")["test"] == 10000);
  const Json sample = run(here, {"info", "data", "--data-dir", kSample, "--json"}).json();
  CHECK(entry(sample, "mnist")["found"] == "");
  CHECK(entry(sample, "cifar10")["found"] == kSample + "/cifar-10-binary.tar.xz");
  CHECK(entry(sample, "cifar10")["checksums"] == "other");
  CHECK(entry(sample, "cifar10")["training"] == 200);
  CHECK(entry(sample, "cifar10")["test"] == 100);
  CHECK(entry(facts, "spheres")["found"] == "(generated)");
  CHECK(facts["augmentations"].size() == 6);

  fs::create_directories(here / "d/mnist");
  write(here / "d/mnist/train-labels-idx1-ubyte", std::string(20, '\0'));
  write(here / "d/cifar10.tar", "no archive");
  const Json damaged = run(here, {"info", "data", "--data-dir", "d", "--json"}).json();
  CHECK(entry(damaged, "mnist")["checksums"] == "damaged: 3 of 4 files are missing");
  CHECK(entry(damaged, "cifar10")["checksums"].get<std::string>().find("not a tar archive") !=
        std::string::npos);
  fs::create_directories(here / "d/cifar10");  // left empty by someone who meant to unpack
  const Json beside = run(here, {"info", "data", "--data-dir", "d", "--json"}).json();
  CHECK(entry(beside, "cifar10")["found"] == "d/cifar10.tar");
  const Result text = run(here, {"info", "data"});
  CHECK(text.status == 0);
  CHECK(text.out.find("60000") != std::string::npos);
  CHECK(text.out.find("cutout") != std::string::npos);
}

TEST_CASE("info data: Fashion-MNIST where Debian's package puts it") {
  if (!fs::exists("/usr/share/datasets/fashion-mnist"))
    SKIP_TEST("the package dataset-fashion-mnist is not installed");
  Folder here;
  const Json fashion =
      entry(run(here, {"info", "data", "--data-dir", "/usr/share/datasets", "--json"}).json(),
            "fashion-mnist");
  CHECK(fashion["checksums"] == "ok");
  const slope::program::DataSets clothes =
      slope::program::load_data("fashion-mnist", "/usr/share/datasets", 0);
  CHECK(clothes.train.labels.size() == 60000);
  CHECK(clothes.test.class_names.at(static_cast<size_t>(clothes.test.labels[0])) == "ankle boot");
  CHECK(fashion["training"] == 60000);
  CHECK(fashion["test"] == 10000);
}

TEST_CASE("info data --sheet: a picture with a row for each augmentation") {
  Folder here;
  const Arguments sheet = {"info", "data", "--data-dir", kSample, "--sheet", "s.png"};
  CHECK(run(here, sheet).status == 0);
  const Image all = slope::nn::read_image(here / "s.png", 3);
  CHECK(all.width == 12 * 78 + 6);
  CHECK(all.height == 12 * 104 + 6);
  check_error(here, sheet, 1, "s.png exists");
  CHECK(run(here, {"info", "data", "--data-dir", kSample, "--data", "cifar10", "--augment",
                   "flip,p=1+cutout", "--sheet", "two.png"})
            .status == 0);
  CHECK(slope::nn::read_image(here / "two.png", 3).height == 3 * 104 + 6);
  check_error(here, {"info", "data", "--sheet", "x.png", "--data", "spheres"}, 1, "are points");
  check_error(here, {"info", "ops", "--sheet", "x.png"}, 1, "belong to slope info data");
}

TEST_CASE("train on a folder of pictures: augmented, validated, the same bits however it runs") {
  Folder here;
  write_folder(here / "p/train", 20);
  write_folder(here / "p/test", 4);
  const auto train = [&](const char* out, const char* epochs, const char* threads) {
    return run(here, {"train", "odenet-mnist", "--data", "folder,path=p,channels=1", "--solver",
                      "euler:1", "--epochs", epochs, "--batch", "16", "--augment",
                      "crop,padding=2,rotate,jitter,noise,cutout", "--validation", "0.25", "--out",
                      out, "--threads", threads, "--json"})
        .json();
  };
  const Json whole = train("whole", "3", "1");
  CHECK(whole.contains("validation_accuracy"));
  CHECK(read(here / "whole/config.toml")
            .find("augment = 'crop,padding=2,rotate,jitter,noise,cutout'") != std::string::npos);
  const std::string metrics = read(here / "whole/metrics.csv");
  CHECK(metrics.find(",validation_loss,validation_accuracy\n") != std::string::npos);
  CHECK(read(here / "whole/log.txt").find("30 training and 8 test samples") != std::string::npos);
  train("stopped", "1", "2");
  run(here, {"train", "--resume", "stopped", "--epochs", "3", "--json"}).json();
  CHECK(weights(here / "stopped") == weights(here / "whole"));
  train("repeated", "3", "2");
  CHECK(weights(here / "repeated") == weights(here / "whole"));
  const Json eval = run(here, {"eval", "whole", "--json"}).json()["results"][0];
  CHECK(eval["examples"] == 8);
  const Json picture =
      run(here, {"predict", "whole", "p/test/light/1.png", "--json"}).json()["predictions"][0];
  CHECK(picture["name"] == (picture["class"] == 0 ? "dark" : "light"));
}

TEST_CASE(
    "a folder of pictures without a test half: the same ones are held out wherever it is used") {
  const Folder here;
  write_folder(here / "p", 40);
  fs::create_directories(here / "elsewhere");
  run(here, {"train", "cnn-mnist", "--data", "folder,channels=1,test=1/4", "--data-dir", "p",
             "--batch", "10", "--epochs", "1", "--seed", "3", "--out", "run", "--json"})
      .json();
  // In full, so that the run can be repeated and used from any place.
  const std::string config = read(here / "run/config.toml");
  const std::string path = fs::canonical(here / "p").string();
  CHECK(config.find("data = 'folder,path=" + path + ",channels=1,test=1/4'") != std::string::npos);
  const auto loss = [&](const Arguments& more) {
    Arguments a{"eval", (here / "run").string(), "--json"};
    a.insert(a.end(), more.begin(), more.end());
    return run(here, a).json()["results"][0]["loss"].get<double>();
  };
  CHECK(loss({}) == loss({"--seed", "4"}));
  const Json few = run(here, {"eval", "run", "--limit", "5", "--json"}).json();
  CHECK(few["results"][0]["warnings"][0] == "the first 5 test samples are of 1 of the 2 classes");
  run(here, {"train", "--config", "run/config.toml", "--out", "again", "--json"}).json();
  CHECK(weights(here / "again") == weights(here / "run"));
}

TEST_CASE("a folder of pictures whose full path no word can say stays as it was given") {
  const Folder here;
  write_folder(here / "a,b/p", 1);
  const fs::path before = fs::current_path();
  fs::current_path(here / "a,b");
  const std::string plain = slope::program::settled("folder,path=p,size=8", "");
  fs::current_path(here.path());
  fs::rename(here / "a,b", here / "ab");
  const std::string full = slope::program::settled("folder,path=ab/p,size=8", "");
  fs::current_path(before);
  CHECK(plain == "folder,path=p,size=8");
  CHECK(full == "folder,path=" + fs::canonical(here / "ab/p").string() + ",size=8");
}

TEST_CASE("a run goes on with the samples that it began with, or not at all") {
  const Folder here;
  write_folder(here / "p", 20);
  fs::rename(here / "p/dark", here / "p/<!--<script>");  // its report is to be whole all the same
  run(here, {"train", "cnn-mnist", "--data", "folder,path=p,channels=1", "--batch", "8", "--epochs",
             "1", "--out", "run", "--json"})
      .json();
  CHECK(read(here / "run/report.html").find("<!--<script>") == std::string::npos);
  CHECK(read(here / "run/report.html").find("\\u003c!--\\u003cscript>") != std::string::npos);
  // As many pictures, one of them of the other class.
  fs::rename(here / "p/light/7.png", here / "p/<!--<script>/x.png");
  write_picture(here / "p/light/7.png", true, 99);
  fs::remove(here / "p/<!--<script>/3.png");
  check_error(here, {"train", "--resume", "run", "--epochs", "2"}, 1,
              "trained on other samples than those of folder,path=");
}

TEST_CASE("folders of pictures and augmentations that do not fit") {
  Folder here;
  write_folder(here / "p", 10);
  const auto refused = [&](const std::string& data, const std::string& augment,
                           const std::string& text) {
    check_error(here,
                {"train", "odenet-mnist", "--data", data, "--augment", augment, "--batch", "4"}, 1,
                text);
  };
  refused("folder,path=none", "", "none: there is no such folder");
  refused("folder", "", "Say folder,path=DIR");
  refused("folder,path=p,size=0", "", "not a positive whole number");
  refused("folder,path=p,channels=1,test=2", "", "cannot be held out");
  refused("folder,path=p,channels=2", "", "channels must be 1 or 3");
  refused("folder,path=p,channels=1", "jitter,hue=0.1", "grey pictures have no");
  refused("folder,path=p,channels=1", "flop", "Did you mean flip?");
  fs::create_directory(here / "p/empty");
  refused("folder,path=p", "", "p/empty: no pictures");
  check_error(here, {"train", "spheres-mlp", "--augment", "flip"}, 1, "only noise fits");
  check_error(here, {"train", "spheres-mlp", "--data", "spheres,dim=99999999999"}, 1, "spheres");
  CHECK(!fs::exists(here / "runs"));
}

TEST_CASE("train on three minima, with noise on the points") {
  Folder here;
  const Json json = run(here, {"train", "spheres-mlp", "--data", "minima", "--augment",
                               "noise,sigma=0.02", "--iterations", "40", "--out", "m", "--json"})
                        .json();
  CHECK(json["parameters"].get<int>() > 168);  // a third class
  CHECK(fs::exists(here / "m/report.html"));
}
