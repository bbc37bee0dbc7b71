#!/usr/bin/env cwl-runner
# Exported from a TES v1 version by libica-libtes.
# Not carried over from the TES v1 version, or to be checked:
# - outputs[0].url: gds://volume/counts/{{sample}}/; what runs the tool decides where outputs go

cwlVersion: v1.2
class: CommandLineTool
label: "count-reads 1.0.0"
requirements:
  DockerRequirement:
    dockerPull: "quay.io/biocontainers/samtools:1.21--h50ea8bc_0"
    dockerOutputDirectory: /data/out
  NetworkAccess:
    networkAccess: true
  InitialWorkDirRequirement:
    listing:
      - entryname: "/data/in/$(inputs.sample).bam"
        entry: "$(inputs.bam)"
  ResourceRequirement:
    coresMin: 1.3
    ramMin: 4292
inputs:
  sample:
    type: string
  bam:
    type: File
    doc: "{{bam}}"
baseCommand:
  - sh
  - "-c"
  - 'export HOME="$TMPDIR" && cd "$0" && exec "$@"'
arguments:
  - "$(runtime.tmpdir)"
  - bash
  - "-c"
  - "samtools flagstat /data/in/$(inputs.sample).bam >/data/out/$(inputs.sample).txt"
outputs:
  out:
    type:
      type: array
      items:
        - File
        - Directory
    doc: "gds://volume/counts/{{sample}}/"
    outputBinding:
      glob:
        - "*"
        - ".[!.]*"
