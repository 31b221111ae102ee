#include <cstring>
#include <new>

extern "C" {
#include "inference_tflm.h"
#include "whir/contract.h"
}
#ifdef ESP_PLATFORM
#include "sdkconfig.h"
#endif
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

#ifdef CONFIG_NN_SKIP_NUDGE
#error "NN_SKIP_NUDGE gives other bytes than the golden vectors: switch it off"
#endif

namespace
{

#include "tflm_ops.inc"

tflite::MicroMutableOpResolver<kOperators> resolver;
alignas(tflite::MicroInterpreter) uint8_t place[sizeof(tflite::MicroInterpreter)];
tflite::MicroInterpreter *interpreter = nullptr;

uint32_t Bits(float value)
{
    uint32_t bits;

    static_assert(sizeof bits == sizeof value, "IEEE-754");
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

int Check(const TfLiteTensor *tensor)
{
    if (tensor == nullptr || tensor->type != kTfLiteInt8) {
        return WHIR_ERR_NN_TYPE;
    }
    if (tensor->quantization.type != kTfLiteAffineQuantization || !(tensor->params.scale > 0)) {
        return WHIR_ERR_NN_QUANT;
    }
    return 0;
}

int Load(whir_inference_t *engine, const uint8_t *data, uint32_t bytes, uint8_t *arena, uint32_t arena_bytes,
         whir_model_info_t *info)
{
    flatbuffers::Verifier verifier(data, bytes);

    *info = whir_model_info_t{};
    if (interpreter != nullptr) {
        interpreter->~MicroInterpreter();
        interpreter = nullptr;
    }
    if (!tflite::VerifyModelBuffer(verifier)) {
        return WHIR_ERR_NN_SCHEMA;
    }
    const tflite::Model *model = tflite::GetModel(data);
    if (model->version() != TFLITE_SCHEMA_VERSION) {
        return WHIR_ERR_NN_SCHEMA;
    }
    interpreter = new (place) tflite::MicroInterpreter(model, resolver, arena, arena_bytes);
    if (interpreter->initialization_status() != kTfLiteOk || interpreter->inputs_size() != 1 ||
        interpreter->outputs_size() != 1) {
        return WHIR_ERR_NN_SHAPE;
    }
    if (interpreter->AllocateTensors() != kTfLiteOk) {
        return WHIR_ERR_NN_ENGINE; /* an operator that it has not, or too small an arena: its log says which */
    }
    const TfLiteTensor *input = interpreter->input(0), *output = interpreter->output(0);
    int err = Check(input);
    err = err < 0 ? err : Check(output);
    if (err < 0) {
        return err;
    }
    info->input_bytes = static_cast<uint32_t>(input->bytes);
    info->output_bytes = static_cast<uint32_t>(output->bytes);
    info->arena_bytes = static_cast<uint32_t>(interpreter->arena_used_bytes());
    info->input_scale_bits = Bits(input->params.scale);
    info->input_zero_point = input->params.zero_point;
    info->output_scale_bits = Bits(output->params.scale);
    info->output_zero_point = output->params.zero_point;
    /* a fifth is kept free: another version of the library may need a little more */
    return info->arena_bytes > arena_bytes - arena_bytes / 6 ? WHIR_ERR_NN_ARENA : 0;
}

int Invoke(whir_inference_t *engine, const int8_t *input, int8_t *output)
{
    if (interpreter == nullptr) {
        return WHIR_ERR_STATE;
    }
    memcpy(interpreter->input(0)->data.int8, input, interpreter->input(0)->bytes);
    if (interpreter->Invoke() != kTfLiteOk) {
        return WHIR_ERR_NN_ENGINE;
    }
    memcpy(output, interpreter->output(0)->data.int8, interpreter->output(0)->bytes);
    return 0;
}

} // namespace

void whir_tflm_inference(whir_inference_t *engine)
{
    *engine = whir_inference_t{};
    engine->name = "tflm";
    engine->kernel_set = WHIR_KERNEL_SET_TFLM_REFERENCE;
    engine->load = Load;
    engine->invoke = Invoke;
    if (!AddOperators(resolver)) {
        engine->load = [](whir_inference_t *, const uint8_t *, uint32_t, uint8_t *, uint32_t, whir_model_info_t *) -> int {
            return WHIR_ERR_NN_OP;
        };
    }
}
