// Prints the embedding of a recording, a number a line:
//   embed encoder_waveform.onnx song.wav
// The recording is WAV: one channel of 16-bit samples at 22050 Hz.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include <openvino/openvino.hpp>

// Little-endian numbers, on a little-endian machine.
template <typename Number>
Number number_at(const std::vector<char>& bytes, size_t offset) {
  if (offset + sizeof(Number) > bytes.size()) throw std::runtime_error("is cut short");
  Number value;
  std::memcpy(&value, bytes.data() + offset, sizeof(Number));
  return value;
}

constexpr uint32_t kRate = 22050;
// Ten minutes.
constexpr size_t kLongest = 600 * kRate;

std::vector<float> read_wav(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot be read");
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  if (bytes.size() < 12 || std::memcmp(bytes.data(), "RIFF", 4) != 0) {
    throw std::runtime_error("is not a WAV file");
  }
  bool is_known = false;
  for (size_t chunk = 12; chunk + 8 <= bytes.size();) {
    const auto size = number_at<uint32_t>(bytes, chunk + 4);
    const size_t start = chunk + 8;
    if (std::memcmp(bytes.data() + chunk, "fmt ", 4) == 0) {
      is_known = number_at<uint16_t>(bytes, start) == 1 &&       // integers
                 number_at<uint16_t>(bytes, start + 2) == 1 &&   // channels
                 number_at<uint32_t>(bytes, start + 4) == kRate &&
                 number_at<uint16_t>(bytes, start + 14) == 16;   // bits
    } else if (std::memcmp(bytes.data() + chunk, "data", 4) == 0) {
      if (!is_known) {
        throw std::runtime_error("expected one channel of 16-bit samples at 22050 Hz");
      }
      std::vector<float> samples(size / 2);
      for (size_t i = 0; i < samples.size(); ++i) {
        samples[i] = number_at<int16_t>(bytes, start + 2 * i) / 32768.0f;
      }
      return samples;
    }
    chunk = start + size + size % 2;
  }
  throw std::runtime_error("has no samples");
}

int main(int count, char** arguments) {
  if (count != 3) {
    std::cerr << "usage: embed ENCODER.onnx SONG.wav\n";
    return 2;
  }
  try {
    std::vector<float> samples = read_wav(arguments[2]);
    if (samples.size() > kLongest) {
      throw std::runtime_error("so long a recording is embedded in parts, see ../README.md");
    }
    ov::Core core;
    auto encoder = core.compile_model(arguments[1], "CPU",
                                      ov::hint::inference_precision(ov::element::f32));
    auto request = encoder.create_infer_request();
    request.set_input_tensor(
        ov::Tensor(ov::element::f32, {1, samples.size()}, samples.data()));
    request.infer();
    const ov::Tensor embedding = request.get_output_tensor();
    const float* values = embedding.data<float>();
    if (std::isnan(values[0])) throw std::runtime_error("is silent");
    for (size_t i = 0; i < embedding.get_size(); ++i) std::cout << values[i] << '\n';
  } catch (const std::exception& error) {
    std::cerr << arguments[2] << ": " << error.what() << '\n';
    return 1;
  }
}
