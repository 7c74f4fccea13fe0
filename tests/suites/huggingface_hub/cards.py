"""Sample cards that the suite reads from tests/fixtures/cards and its source package lacks; in our words."""

SIMPLE = '''---
language:
- en
license: mit
library_name: pytorch-lightning
tags:
- pytorch
- image-classification
datasets:
- beans
metrics:
- acc
---

# my-cool-model

Tells leaves of beans apart.
'''
INDEX = '''---
license: mit
model-index:
- name: my-cool-model
  results:
  - task:
      type: image-classification
    dataset:
      name: Beans
      type: beans
    metrics:
    - type: acc
      value: 0.9
    - type: f1
      value: 0.8
---

# my-cool-model
'''

CARDS = {
    'sample_simple.md': SIMPLE,
    'sample_windows_line_breaks.md': SIMPLE.replace('\n', '\r\n'),
    'sample_no_metadata.md': '# A model\n\nNobody said more.\n',
    'sample_invalid_card_data.md': '---\n- a\n- list\n---\n\n# A model\n',
    'sample_invalid_model_index.md': '---\nlicense: mit\nmodel-index:\n- results: nothing\n---\n\n# A model\n',
    'sample_simple_model_index.md': INDEX,
    'sample_template.md': '---\n{{ card_data }}\n---\n\n# A model\n\n{{ some_data }}',
    'sample_datasetcard_simple.md': '''---
annotations_creators:
- crowdsourced
- expert-generated
language_creators:
- found
language:
- en
license:
- bsd-3-clause
multilinguality:
- monolingual
size_categories:
- n<1K
task_categories:
- image-segmentation
task_ids:
- semantic-segmentation
pretty_name: Sample Segmentation
---

# Dataset Card for Sample Segmentation
''',
    'sample_datasetcard_template.md': '---\n{{ card_data }}\n---\n\n# {{ pretty_name }}\n\n{{ some_data }}',
}
