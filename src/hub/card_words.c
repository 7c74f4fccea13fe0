/* card_words.c: the vocabulary of cards; see card.h. Source: the Hub's documentation of model and
 * dataset cards, its lists of tasks and licenses, and ISO 639. */
#include "hub/card.h"

#define MULTIMODAL "Multimodal"
#define VISION "Computer vision"
#define LANGUAGE "Natural language"
#define AUDIO "Audio"
#define TABLES "Tables"
#define AGENTS "Reinforcement learning"
#define OTHER "Other"

const CardTask card_tasks[] = {
    {"any-to-any", "Any to any", MULTIMODAL},
    {"audio-text-to-text", "Audio-text to text", MULTIMODAL},
    {"document-question-answering", "Document question answering", MULTIMODAL},
    {"image-text-to-image", "Image-text to image", MULTIMODAL},
    {"image-text-to-text", "Image-text to text", MULTIMODAL},
    {"image-text-to-video", "Image-text to video", MULTIMODAL},
    {"video-text-to-text", "Video-text to text", MULTIMODAL},
    {"visual-document-retrieval", "Visual document retrieval", MULTIMODAL},
    {"visual-question-answering", "Visual question answering", MULTIMODAL},
    {"depth-estimation", "Depth estimation", VISION},
    {"image-classification", "Image classification", VISION},
    {"image-feature-extraction", "Image feature extraction", VISION},
    {"image-segmentation", "Image segmentation", VISION},
    {"image-to-3d", "Image to 3D", VISION},
    {"image-to-image", "Image to image", VISION},
    {"image-to-text", "Image to text", VISION},
    {"image-to-video", "Image to video", VISION},
    {"keypoint-detection", "Keypoint detection", VISION},
    {"mask-generation", "Mask generation", VISION},
    {"object-detection", "Object detection", VISION},
    {"text-to-3d", "Text to 3D", VISION},
    {"text-to-image", "Text to image", VISION},
    {"text-to-video", "Text to video", VISION},
    {"unconditional-image-generation", "Unconditional image generation", VISION},
    {"video-classification", "Video classification", VISION},
    {"video-to-video", "Video to video", VISION},
    {"zero-shot-image-classification", "Zero-shot image classification", VISION},
    {"zero-shot-object-detection", "Zero-shot object detection", VISION},
    {"feature-extraction", "Feature extraction", LANGUAGE},
    {"fill-mask", "Fill mask", LANGUAGE},
    {"multiple-choice", "Multiple choice", LANGUAGE},
    {"question-answering", "Question answering", LANGUAGE},
    {"sentence-similarity", "Sentence similarity", LANGUAGE},
    {"summarization", "Summarization", LANGUAGE},
    {"table-question-answering", "Table question answering", LANGUAGE},
    {"table-to-text", "Table to text", LANGUAGE},
    {"text-classification", "Text classification", LANGUAGE},
    {"text-generation", "Text generation", LANGUAGE},
    {"text-ranking", "Text ranking", LANGUAGE},
    {"text-retrieval", "Text retrieval", LANGUAGE},
    {"text2text-generation", "Text to text", LANGUAGE},
    {"token-classification", "Token classification", LANGUAGE},
    {"translation", "Translation", LANGUAGE},
    {"zero-shot-classification", "Zero-shot classification", LANGUAGE},
    {"audio-classification", "Audio classification", AUDIO},
    {"audio-to-audio", "Audio to audio", AUDIO},
    {"automatic-speech-recognition", "Speech recognition", AUDIO},
    {"text-to-audio", "Text to audio", AUDIO},
    {"text-to-speech", "Text to speech", AUDIO},
    {"voice-activity-detection", "Voice activity detection", AUDIO},
    {"tabular-classification", "Tabular classification", TABLES},
    {"tabular-regression", "Tabular regression", TABLES},
    {"tabular-to-text", "Tabular to text", TABLES},
    {"time-series-forecasting", "Time series forecasting", TABLES},
    {"reinforcement-learning", "Reinforcement learning", AGENTS},
    {"robotics", "Robotics", AGENTS},
    {"graph-ml", "Graphs", OTHER},
    {"other", "Other", OTHER},
};
const size_t card_tasks_n = COUNT(card_tasks);

bool card_is_task(Str word)
{
    for (size_t i = 0; i < COUNT(card_tasks); i++)
        if (str_eq(word, str_of(card_tasks[i].id)))
            return true;
    return false;
}

const char *const card_libraries[] = {"transformers",
                                      "diffusers",
                                      "sentence-transformers",
                                      "peft",
                                      "safetensors",
                                      "gguf",
                                      "onnx",
                                      "pytorch",
                                      "tf",
                                      "jax",
                                      "tflite",
                                      "coreml",
                                      "keras",
                                      "keras-hub",
                                      "tf-keras",
                                      "mlx",
                                      "timm",
                                      "open_clip",
                                      "ultralytics",
                                      "transformers.js",
                                      "adapter-transformers",
                                      "allennlp",
                                      "asteroid",
                                      "bertopic",
                                      "espnet",
                                      "fairseq",
                                      "fastai",
                                      "fasttext",
                                      "flair",
                                      "gliner",
                                      "joblib",
                                      "llama-cpp-python",
                                      "mlc-llm",
                                      "ml-agents",
                                      "model2vec",
                                      "nemo",
                                      "openvino",
                                      "paddlenlp",
                                      "PaddlePaddle",
                                      "pyannote-audio",
                                      "sample-factory",
                                      "scikit-learn",
                                      "setfit",
                                      "sklearn",
                                      "spacy",
                                      "span-marker",
                                      "speechbrain",
                                      "stable-baselines3",
                                      "stanza",
                                      "tensorboard",
                                      "tensorflowtts",
                                      "timesfm",
                                      "trl",
                                      "unsloth",
                                      "vllm",
                                      "whisperkit",
                                      NULL};

const char *const card_licenses[] = {"apache-2.0",
                                     "mit",
                                     "openrail",
                                     "bigscience-openrail-m",
                                     "creativeml-openrail-m",
                                     "bigscience-bloom-rail-1.0",
                                     "bigcode-openrail-m",
                                     "afl-3.0",
                                     "artistic-2.0",
                                     "bsl-1.0",
                                     "bsd",
                                     "bsd-2-clause",
                                     "bsd-3-clause",
                                     "bsd-3-clause-clear",
                                     "c-uda",
                                     "cc",
                                     "cc0-1.0",
                                     "cc-by-2.0",
                                     "cc-by-2.5",
                                     "cc-by-3.0",
                                     "cc-by-4.0",
                                     "cc-by-sa-3.0",
                                     "cc-by-sa-4.0",
                                     "cc-by-nc-2.0",
                                     "cc-by-nc-3.0",
                                     "cc-by-nc-4.0",
                                     "cc-by-nd-4.0",
                                     "cc-by-nc-nd-3.0",
                                     "cc-by-nc-nd-4.0",
                                     "cc-by-nc-sa-2.0",
                                     "cc-by-nc-sa-3.0",
                                     "cc-by-nc-sa-4.0",
                                     "cdla-sharing-1.0",
                                     "cdla-permissive-1.0",
                                     "cdla-permissive-2.0",
                                     "wtfpl",
                                     "ecl-2.0",
                                     "epl-1.0",
                                     "epl-2.0",
                                     "etalab-2.0",
                                     "eupl-1.1",
                                     "eupl-1.2",
                                     "agpl-3.0",
                                     "gfdl",
                                     "gpl",
                                     "gpl-2.0",
                                     "gpl-3.0",
                                     "lgpl",
                                     "lgpl-2.1",
                                     "lgpl-3.0",
                                     "isc",
                                     "h-research",
                                     "intel-research",
                                     "lppl-1.3c",
                                     "ms-pl",
                                     "apple-ascl",
                                     "apple-amlr",
                                     "mpl-2.0",
                                     "odc-by",
                                     "odbl",
                                     "openmdw-1.0",
                                     "openrail++",
                                     "osl-3.0",
                                     "postgresql",
                                     "ofl-1.1",
                                     "ncsa",
                                     "unlicense",
                                     "zlib",
                                     "pddl",
                                     "lgpl-lr",
                                     "deepfloyd-if-license",
                                     "fair-noncommercial-research-license",
                                     "llama2",
                                     "llama3",
                                     "llama3.1",
                                     "llama3.2",
                                     "llama3.3",
                                     "llama4",
                                     "grok2-community",
                                     "gemma",
                                     "unknown",
                                     "other",
                                     NULL};

static bool is_one_of(const char *const *words, Str word)
{
    for (; *words; words++)
        if (str_eq(word, str_of(*words)))
            return true;
    return false;
}

bool card_is_library(Str word)
{
    return is_one_of(card_libraries, word);
}

bool card_is_license(Str word)
{
    return is_one_of(card_licenses, word);
}

/* ISO 639-1, two letters each. */
static const char iso_639_1[] =
    "aaabaeafakamanarasavayazbabebgbhbibmbnbobrbscacechcocrcscucvcydadedvdzeeeleneoeseteufafffifjfo"
    "frfygagdglgngugvhahehihohrhthuhyhziaidieigiiikioisitiujajvkakgkikjkkklkmknkokrkskukvkwkylalblg"
    "lilnloltlulvmgmhmimkmlmnmrmsmtmynanbndnengnnnonrnvnyocojomorospapiplpsptqurmrnrorurwsascsdsesg"
    "shsiskslsmsnsosqsrssstsusvswtatetgthtitktltntotrtstttwtyugukuruzvevivowawoxhyiyozazhzu";

bool card_is_language(Str word)
{
    static const char *const special[] = {"code", "multilingual", "multi", NULL};
    if (is_one_of(special, word))
        return true;
    if (word.len < 2 || word.len > 3)
        return false;
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] < 'a' || word.ptr[i] > 'z')
            return false;
    if (word.len == 3)
        return true;
    for (size_t i = 0; i + 1 < sizeof iso_639_1; i += 2)
        if (memcmp(iso_639_1 + i, word.ptr, 2) == 0)
            return true;
    return false;
}
