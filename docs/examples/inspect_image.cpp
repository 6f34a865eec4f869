// Inspects a raw gray image of 8 bits with what `ssimae export --whole HEIGHTxWIDTH` wrote, with OpenVINO and no Python.
//
//   D=$(python -c 'import openvino; print(openvino.__path__[0])')
//   g++ -std=c++17 inspect_image.cpp -I$D/include $D/libs/libopenvino.so.* -Wl,-rpath,$D/libs -o inspect_image
//   ./inspect_image whole.onnx IMAGE.raw REVIEW DEFECTIVE MIN_AREA
//
// The three numbers stand in `thresholds` of inspect.json. A region is what is connected above REVIEW, over corners too.
// Whether the image as a whole is unlike the good ones is left out, and so are the rules of regions that
// `ssimae threshold` sets on request, such as --merge-distance: inspect_image.py shows both.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>

#include <openvino/openvino.hpp>

int main(int count, char **arguments) {
    if (count != 6) return std::fprintf(stderr, "usage: inspect_image GRAPH IMAGE REVIEW DEFECTIVE MIN_AREA\n"), 2;
    const float review = std::atof(arguments[3]), defective = std::atof(arguments[4]);
    const size_t min_area = std::atoi(arguments[5]);
    ov::Core core;
    // By default processors with bfloat16 compute in it.
    auto model = core.compile_model(arguments[1], "CPU", ov::hint::inference_precision(ov::element::f32));
    auto request = model.create_infer_request();
    ov::Tensor image = request.get_input_tensor();
    const size_t height = image.get_shape()[2], width = image.get_shape()[3];
    std::vector<unsigned char> bytes(height * width);
    std::ifstream(arguments[2], std::ios::binary).read(reinterpret_cast<char *>(bytes.data()), bytes.size());
    std::copy(bytes.begin(), bytes.end(), image.data<float>());
    request.infer();
    const ov::Tensor map = request.get_tensor("judged");
    const float *judged = map.data<const float>();

    std::vector<char> seen(height * width, 0);
    size_t regions = 0;
    float highest = 0;
    for (size_t start = 0; start < seen.size(); ++start) {
        std::vector<size_t> region;
        if (!seen[start] && judged[start] > review) seen[start] = 1, region.push_back(start);
        for (size_t next = 0; next < region.size(); ++next) {
            const size_t row = region[next] / width, column = region[next] % width;
            for (size_t y = row - (row > 0); y <= std::min(row + 1, height - 1); ++y)
                for (size_t x = column - (column > 0); x <= std::min(column + 1, width - 1); ++x)
                    if (size_t pixel = y * width + x; !seen[pixel] && judged[pixel] > review)
                        seen[pixel] = 1, region.push_back(pixel);
        }
        if (region.empty() || region.size() < min_area) continue;
        ++regions;
        for (size_t pixel : region) highest = std::max(highest, judged[pixel]);
    }
    std::printf("%s %zu\n", !regions ? "good" : highest > defective ? "defective" : "review", regions);
}
